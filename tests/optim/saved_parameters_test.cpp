#include "folio/optim/saved_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "folio/io/files.h"
#include "folio/kernels/kernels.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Two parameters and their optimizer, after one step.
struct Trained {
  ParameterStore store;
  Optimizer optimizer;

  explicit Trained(uint64_t seed, DType dtype = DType::f32)
      : store(dtype), optimizer(initialized(store, seed), {.clip = 0.0}) {}

  static ParameterStore& initialized(ParameterStore& store, uint64_t seed) {
    store.create("layer.weight", {2, 3}, Init::normal(1.0));
    store.create("layer.bias", {2}, Init::normal(1.0));
    store.initialize(seed);
    return store;
  }
  void step(int64_t step) {
    for (Parameter& parameter : store.parameters()) {
      kernels_for(Device::cpu).copy({&parameter.grad, false}, parameter.master);
      parameter.slot.written = true;
    }
    optimizer.step(step, 0.1);
  }
  std::vector<double> values() const { return values_of(store.values()); }
};

class SavedParameters : public testing::Test {
 protected:
  std::filesystem::path path() const { return directory_.path(); }

  TemporaryDirectory directory_;
  std::filesystem::path file_ = path() / "model.safetensors";
};

TEST_F(SavedParameters, TrainingContinuesWithTheSameBits) {
  Trained whole(1), resumed(2);
  whole.step(0);
  save(file_, whole.store, &whole.optimizer, 1);
  whole.step(1);
  const LoadResult loaded = load(file_, resumed.store, &resumed.optimizer);
  EXPECT_EQ(loaded.step, 1);
  EXPECT_THAT(loaded.missing, IsEmpty());
  EXPECT_THAT(loaded.unexpected, IsEmpty());
  resumed.step(loaded.step);
  EXPECT_EQ(resumed.values(), whole.values());
}

TEST_F(SavedParameters, WithoutAnOptimizerItsStateIsNotNeeded) {
  Trained saved(1);
  save(file_, saved.store, &saved.optimizer, 7);
  ParameterStore store;
  Trained::initialized(store, 2);
  EXPECT_EQ(load(file_, store).step, 7);
  EXPECT_EQ(values_of(store.values()), saved.values());
}

TEST_F(SavedParameters, F32AndF64AreConverted) {
  const Trained narrow(1);
  Trained wide(2, DType::f64);
  save(file_, narrow.store);
  load(file_, wide.store);
  EXPECT_EQ(wide.values(), narrow.values());
}

TEST_F(SavedParameters, OtherNamesAreRefusedUnlessAllowed) {
  ParameterStore other;
  other.create("layer.weight", {2, 3}, Init::zeros());
  other.create("head.weight", {2}, Init::ones());
  other.initialize(1);
  save(file_, other);
  Trained trained(1);
  const std::vector<double> before = trained.values();
  EXPECT_THAT(error_of([&] { load(file_, trained.store); }),
              AllOf(HasSubstr(file_.string() + ": layer.bias is in the model but not in the file"),
                    HasSubstr("is this another model's file?")));
  EXPECT_EQ(trained.values(), before);
  const LoadResult loaded = load(file_, trained.store, nullptr, {.strict = false});
  EXPECT_THAT(loaded.missing, ElementsAre("layer.bias"));
  EXPECT_THAT(loaded.unexpected, ElementsAre("head.weight"));
  EXPECT_THAT(values_of(trained.store.find("layer.weight").value), testing::Each(0.0));
  EXPECT_EQ(values_of(trained.store.find("layer.bias").value),
            std::vector<double>(before.end() - 2, before.end()));
}

TEST_F(SavedParameters, OtherShapesAreAlwaysRefused) {
  ParameterStore other;
  other.create("layer.weight", {3, 3}, Init::zeros());
  other.initialize(1);
  save(file_, other);
  Trained trained(1);
  const std::vector<double> before = trained.values();
  EXPECT_THAT(error_of([&] { load(file_, trained.store, nullptr, {.strict = false}); }),
              HasSubstr("layer.weight is (3, 3) in the file but (2, 3) in the model"));
  EXPECT_EQ(trained.values(), before);
}

TEST_F(SavedParameters, AFailedSaveKeepsTheOldFile) {
  const Trained trained(1);
  save(file_, trained.store);
  const std::string before = read_file(file_);
  const std::filesystem::path missing = path() / "missing" / "file";
  EXPECT_THAT(error_of([&] { save(missing, trained.store); }),
              HasSubstr(missing.string() + ": cannot create"));
  ParameterStore empty;
  empty.create("w", {1}, Init::zeros());
  EXPECT_THAT(error_of([&] { save(file_, empty); }), HasSubstr("must be initialized first"));
  EXPECT_EQ(read_file(file_), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path()), {}), 1);
}

}  // namespace
}  // namespace folio
