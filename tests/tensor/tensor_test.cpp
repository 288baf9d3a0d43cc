#include "folio/tensor/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "folio/tensor/allocator.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using testing::HasSubstr;

/// Runs `f`, which should throw, and returns what the Error says.
template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Shape, CountsRowsColumnsAndElements) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape.numel(), 24);
  EXPECT_EQ(shape.rows(), 6);
  EXPECT_EQ(shape.columns(), 4);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(shape.to_string(), "(2, 3, 4)");
  EXPECT_EQ(shape.with(-1, 5), (Shape{2, 3, 5}));
  EXPECT_EQ(shape.without_last(), (Shape{2, 3}));
  EXPECT_EQ(shape.normalize_axis(-3), 0);
  EXPECT_NE(shape, (Shape{2, 3}));
}

TEST(Shape, AScalarHasOneElement) {
  const Shape scalar;
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.numel(), 1);
  EXPECT_EQ(scalar.rows(), 1);
  EXPECT_EQ(scalar.columns(), 1);
  EXPECT_EQ(scalar.to_string(), "()");
  EXPECT_EQ(scalar.without_last(), scalar);
  EXPECT_EQ((Shape{0, 3}).numel(), 0);
}

TEST(Shape, RefusesWhatIsOutOfRange) {
  EXPECT_THROW((Shape{1, 2, 3, 4, 5}), Error);
  EXPECT_THROW((Shape{-1}), Error);
  const Shape shape{2, 3};
  EXPECT_THROW(shape[2], Error);
  EXPECT_THROW(shape[-3], Error);
  EXPECT_THROW(shape.normalize_axis(2), Error);
}

TEST(Shape, RefusesMoreElementsThanCanBeCounted) {
  EXPECT_THROW(Shape({int64_t{1} << 31, int64_t{1} << 31}), Error);
  EXPECT_THROW(Shape({int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(Shape({0, int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(Shape({2, 3}).with(0, INT64_MAX), Error);
  EXPECT_EQ(Shape({(int64_t{1} << 60) - 1}).numel(), (int64_t{1} << 60) - 1);
}

TEST(Tensor, EmptyHasNothingToView) {
  const Tensor empty;
  EXPECT_EQ(empty.numel(), 0);
  EXPECT_THROW(empty.reshape({1}), Error);
  EXPECT_THROW(empty.view(0, {1}), Error);
}

TEST(Tensor, HoldsItsValues) {
  const Tensor x = Tensor::from<float>({2, 2}, {1.0f, 2.0f, 3.0f, 4.0f});
  EXPECT_TRUE(x);
  EXPECT_EQ(x.dtype(), DType::f32);
  EXPECT_EQ(x.bytes(), 16);
  EXPECT_EQ(x.dim(-1), 2);
  EXPECT_EQ(x.data<float>()[3], 4.0f);
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1.0f, 2.0f, 3.0f, 4.0f}));
  EXPECT_EQ(x.describe(), "f32 (2, 2)");
  EXPECT_EQ(Tensor::from<int32_t>({}, {7}).item(), 7.0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(x.raw()) % 64, 0u);
}

TEST(Tensor, CopiesShareTheirMemory) {
  Tensor x = Tensor::from<double>({3}, {1.0, 2.0, 3.0});
  EXPECT_TRUE(x.unique());
  const Tensor y = x;
  EXPECT_FALSE(x.unique());
  y.data<double>()[0] = 5.0;
  EXPECT_EQ(x.data<double>()[0], 5.0);
  x = Tensor();
  EXPECT_TRUE(y.unique());
  EXPECT_FALSE(x);
  const Tensor z = std::move(x);
  EXPECT_FALSE(z);
}

TEST(Tensor, AssignmentToItselfKeepsTheMemory) {
  Tensor x = Tensor::from<float>({1}, {2.0f});
  const Tensor& same = x;
  x = same;
  EXPECT_TRUE(x.unique());
  EXPECT_EQ(x.item(), 2.0);
}

TEST(Tensor, ViewsSeePartOfTheMemory) {
  Tensor x = Tensor::from<float>({2, 3}, {0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f});
  const Tensor row = x.view(3, {3});
  EXPECT_EQ(row.to_vector<float>(), (std::vector<float>{3.0f, 4.0f, 5.0f}));
  row.data<float>()[1] = 9.0f;
  EXPECT_EQ(x.data<float>()[4], 9.0f);
  EXPECT_EQ(x.reshape({3, 2}).raw(), x.raw());
  x = Tensor();
  EXPECT_EQ(row.data<float>()[1], 9.0f);  // the view keeps the memory alive
}

TEST(Tensor, ErrorsNameWhatWasSeen) {
  const Tensor x({2, 3}, DType::f32);
  EXPECT_THAT(error_of([&] { (void)x.data<double>(); }), HasSubstr("f32 (2, 3)"));
  EXPECT_THAT(error_of([&] { (void)Tensor().data<float>(); }), HasSubstr("empty"));
  EXPECT_THAT(error_of([&] { (void)x.item(); }), HasSubstr("item()"));
  EXPECT_THAT(error_of([&] { (void)x.reshape({4}); }), HasSubstr("(2, 3) has 6 elements"));
  EXPECT_THAT(error_of([&] { (void)x.view(4, {3}); }), HasSubstr("4 to 7"));
  EXPECT_THAT(error_of([&] { (void)x.view(-1, {1}); }), HasSubstr("-1"));
  EXPECT_THAT(error_of([&] { (void)Tensor::from<float>({2}, {1.0f}); }), HasSubstr("1 values"));
  EXPECT_EQ(Tensor().describe(), "an empty tensor");
}

TEST(Error, IsOneLineWhateverIsInIt) {
  EXPECT_EQ(error_of([] { fail("a\nb", "c\x1b[2J\x7f \xC3\xA9\t\\"); }),
            "a\\x0ab: c\\x1b[2J\\x7f \xC3\xA9\\x09\\");
}

TEST(Allocator, ASecondRoundAsksTheSystemForNothing) {
  const auto round = [] {
    std::vector<Tensor> tensors;
    for (const int64_t n : {1, 17, 1000, 1000, 70000, 2000000}) {
      tensors.emplace_back(Shape{n}, DType::f32);
      if (n == 17) tensors.clear();
    }
  };
  round();
  const AllocatorStatistics before = allocator(Device::cpu).statistics();
  for (int i = 0; i < 3; ++i) round();
  const AllocatorStatistics after = allocator(Device::cpu).statistics();
  EXPECT_EQ(after.system_allocations, before.system_allocations);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.live_blocks, before.live_blocks);
}

TEST(Allocator, CountsWhatIsLive) {
  Allocator& pool = allocator(Device::cpu);
  const size_t before = pool.statistics().live_bytes;
  {
    const Tensor x({1000}, DType::f64);
    EXPECT_GE(pool.statistics().live_bytes, before + 8000);
    pool.reset_peak();
    { const Tensor y({5000}, DType::f64); }
    EXPECT_GE(pool.statistics().peak_bytes, before + 48000);
    EXPECT_LT(pool.statistics().live_bytes, before + 48000);
  }
  EXPECT_EQ(pool.statistics().live_bytes, before);
}

TEST(Allocator, SizesThatVaryKeepNoMoreThanAQuarterAboveThePeak) {
  Allocator pool;
  constexpr size_t unit = size_t{1} << 20;
  const auto step = [&](size_t units) {
    std::vector<MemoryBlock*> blocks;
    for (int i = 0; i < 4; ++i) blocks.push_back(pool.allocate(units * unit));
    for (MemoryBlock* block : blocks) pool.release(block);
  };
  step(40);
  for (size_t units = 1; units < 40; ++units) {
    step(units);
    EXPECT_LE(pool.statistics().reserved_bytes, (160 + 40) * unit);
  }
  EXPECT_EQ(pool.statistics().peak_bytes, 160 * unit);
  // What was used last is still cached, what was used first was returned.
  const uint64_t before = pool.statistics().system_allocations;
  step(39);
  EXPECT_EQ(pool.statistics().system_allocations, before);
  step(40);
  EXPECT_EQ(pool.statistics().system_allocations, before + 4);
}

TEST(Allocator, TrimGivesWaitingBlocksBack) {
  Allocator pool;
  auto* block = pool.allocate(100000);
  EXPECT_GE(pool.statistics().reserved_bytes, 100000u);
  pool.release(block);
  EXPECT_GE(pool.statistics().reserved_bytes, 100000u);
  pool.trim();
  EXPECT_EQ(pool.statistics().reserved_bytes, 0u);
}

}  // namespace
}  // namespace folio
