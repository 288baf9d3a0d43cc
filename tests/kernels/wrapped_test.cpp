// Tables that are made from the list of kernels.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "folio/kernels/kernels.h"

namespace folio {
namespace {

int fills = 0, others = 0;

struct Counter {
  static void record(Entry<&Kernels::fill>, const Tensor&, double value) {
    fills += static_cast<int>(value);
  }
  template <class E, class... Argument>
  static void record(E, const Argument&...) {
    ++others;
  }
};

TEST(RecordingKernels, ComputeNothingAndRecordTheirArguments) {
  const Kernels kernels = recording_kernels<Counter>();
  const Tensor x = Tensor::from<float>({2}, {1.0f, 2.0f});
  kernels.fill(x, 7.0);
  kernels.copy({&x, true}, x);
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1.0f, 2.0f}));
  EXPECT_EQ(fills, 7);
  EXPECT_EQ(others, 1);
}

TEST(RecordingKernels, HaveEveryEntry) {
  const Kernels kernels = recording_kernels<Counter>();
  for (const Kernels& table : {kernels, kernels_for(Device::cpu)}) {
    void (*entries[sizeof table / sizeof(void (*)())])();
    std::memcpy(entries, &table, sizeof table);
    for (const auto entry : entries) EXPECT_NE(entry, nullptr);
  }
}

}  // namespace
}  // namespace folio
