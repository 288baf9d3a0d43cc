// Tensors by name, and parts of them.
#include "folio/data/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Tensor numbered(const Shape& shape) {
  std::vector<int32_t> values(static_cast<size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), 0);
  return Tensor::from(shape, values);
}

/// Three samples of different ranks and types.
Batch three_samples() {
  return {{{"tokens", numbered({3, 2})},
           {"targets", numbered({3})},
           {"image", Tensor::from<float>({3, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})}}};
}

TEST(Batch, HasTensorsByName) {
  const Batch batch = three_samples();
  EXPECT_EQ(batch["tokens"].shape(), Shape({3, 2}));
  EXPECT_EQ(batch["targets"].shape(), Shape({3}));
  EXPECT_EQ(batch["image"].dtype(), DType::f32);
  EXPECT_TRUE(batch.contains("image"));
  EXPECT_FALSE(batch.contains("mask"));
  EXPECT_FALSE(batch.contains(""));
  EXPECT_EQ(batch.samples(), 3);
  EXPECT_THAT(error_of([&] { batch["mask"]; }), AllOf(HasSubstr("batch: "), HasSubstr("\"mask\"")));
}

TEST(Batch, WithoutTensorsHasNoSamples) {
  const Batch batch;
  EXPECT_EQ(batch.samples(), 0);
  EXPECT_FALSE(batch.contains("tokens"));
  EXPECT_TRUE(batch.part(0, 0).tensors.empty());
}

TEST(Batch, PartsAreSamplesOfEveryTensorInTheSameMemory) {
  const Batch batch = three_samples();
  for (int64_t first = 0; first < 3; ++first) {
    for (int64_t count = 1; count <= 3 - first; ++count) {
      const Batch part = batch.part(first, count);
      EXPECT_EQ(part.samples(), count);
      ASSERT_EQ(part.tensors.size(), 3u);
      EXPECT_EQ(part["tokens"].shape(), Shape({count, 2}));
      EXPECT_EQ(part["tokens"].data<int32_t>(), batch["tokens"].data<int32_t>() + first * 2);
      EXPECT_EQ(part["targets"].shape(), Shape({count}));
      EXPECT_EQ(part["targets"].data<int32_t>(), batch["targets"].data<int32_t>() + first);
      EXPECT_EQ(part["image"].shape(), Shape({count, 2, 2}));
      EXPECT_EQ(part["image"].data<float>(), batch["image"].data<float>() + first * 4);
    }
  }
  EXPECT_THAT(batch.part(1, 2).part(1, 1)["tokens"].to_vector<int32_t>(), ElementsAre(4, 5));
}

TEST(Batch, PartsBeyondTheSamplesAreRefused) {
  const Batch batch = three_samples();
  EXPECT_THAT(error_of([&] { batch.part(2, 2); }),
              AllOf(HasSubstr("samples 2 to 3"), HasSubstr("tokens has 3")));
  error_of([&] { batch.part(-1, 2); });
  error_of([&] { batch.part(0, -1); });
  error_of([&] { batch.part(4, 0); });
  Batch uneven = batch;
  uneven.tensors.push_back({"mask", numbered({2, 2})});
  EXPECT_THAT(error_of([&] { uneven.part(0, 3); }), HasSubstr("mask has 2"));
}

}  // namespace
}  // namespace folio
