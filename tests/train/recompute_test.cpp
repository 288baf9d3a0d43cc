// train.recompute changes memory and nothing else.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "folio/train/trainer.h"
#include "support/gradcheck.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {
namespace {

struct Outcome {
  std::vector<double> weights;
  size_t peak = 0;  // bytes, of everything that lives in tensors
};

Outcome train_ten_steps(const std::filesystem::path& text, std::vector<std::string> overrides,
                        const std::string& recompute) {
  overrides.push_back("train.recompute=" + recompute);
  Trainer trainer(tiny_config(text, overrides));
  allocator(Device::cpu).reset_peak();
  for (int step = 0; step < 10; ++step) trainer.step();
  return {values_of(trainer.parameters().values()), allocator(Device::cpu).statistics().peak_bytes};
}

TEST(Recompute, WeightsAreTheSameBitsAndThePeakIsLower) {
  const TemporaryDirectory directory;
  const std::filesystem::path text = directory.path() / "text.txt";
  write_file(text, tiny_text());
  const std::vector<std::vector<std::string>> variants = {
      {},
      {"model.norm=post"},
      {"model.tied=false", "model.bias=true", "train.accumulate=2"},
      {"model.dropout=0", "model.positions=sinusoidal", "model.activation=gelu_tanh"},
  };
  for (std::vector<std::string> variant : variants) {
    SCOPED_TRACE(variant.empty() ? "default" : variant.front());
    for (const char* shape : {"model.layers=4", "model.width=32", "model.context=24"}) {
      variant.emplace_back(shape);
    }
    const Outcome none = train_ten_steps(text, variant, "none");
    const Outcome mlp = train_ten_steps(text, variant, "mlp");
    const Outcome block = train_ten_steps(text, variant, "block");
    EXPECT_EQ(mlp.weights, none.weights);
    EXPECT_EQ(block.weights, none.weights);
    EXPECT_LT(mlp.peak, none.peak);
    EXPECT_LT(block.peak, mlp.peak);
  }
}

}  // namespace
}  // namespace folio
