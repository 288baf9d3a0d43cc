// Checks of every collective against a serial reference; for any communicator.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "folio/comm/communicator.h"
#include "folio/kernels/kernels.h"

namespace folio {

inline const std::vector<int64_t> odd_sizes = {1, 2, 7, 1000, 16385, 70001};

/// Small integers, so that bf16 holds them, and thirds where the type has them: sums then depend on
/// their order.
template <class T>
T brought(int rank, int64_t i) {
  const auto small = static_cast<float>((i * 7 + rank * 13) % 64 - 20);
  if constexpr (std::is_same_v<T, int32_t>) return static_cast<int32_t>(small);
  return static_cast<T>(small / 3.0F);
}

template <class T>
using SumOf = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

template <class T>
void check_reduce_scatter(Communicator& ranks, int64_t count, int64_t unit, int contributors,
                          bool accumulate, bool in_place) {
  const Parts parts{.count = count, .ranks = ranks.size(), .unit = unit};
  const SlabRange own = parts.of(ranks.rank());
  const Tensor x({count}, dtype_of<T>);
  for (int64_t i = 0; i < count; ++i) x.data<T>()[i] = brought<T>(ranks.rank(), i);
  const Tensor apart({own.size()}, dtype_of<T>);
  const Tensor sum = in_place ? x.view(own.begin, {own.size()}) : apart;
  std::vector<T> before(static_cast<size_t>(own.size()));
  if (!in_place) kernels_for(Device::cpu).fill(apart, 5.0);
  std::copy_n(sum.data<T>(), own.size(), before.begin());
  ranks.start_reduce_scatter({&sum, accumulate}, x, parts, contributors)->wait();
  for (int64_t i = 0; i < own.size(); ++i) {
    SumOf<T> expected =
        accumulate ? static_cast<SumOf<T>>(before[static_cast<size_t>(i)]) : SumOf<T>{};
    for (int r = 0; r < contributors; ++r) {
      const auto next = static_cast<SumOf<T>>(brought<T>(r, own.begin + i));
      expected = r == 0 && !accumulate ? next : static_cast<SumOf<T>>(expected + next);
    }
    ASSERT_EQ(sum.data<T>()[i], static_cast<T>(expected))
        << name_of(x.dtype()) << ", " << count << " elements, element " << own.begin + i;
  }
  for (int64_t i = 0; i < count; ++i) {  // what is not the sum's is as it was
    if (in_place && i >= own.begin && i < own.end) continue;
    ASSERT_EQ(x.data<T>()[i], brought<T>(ranks.rank(), i));
  }
}

template <class T>
void check_all_reduce(Communicator& ranks, int64_t count) {
  const Tensor x({count}, dtype_of<T>);
  for (int64_t i = 0; i < count; ++i) x.data<T>()[i] = brought<T>(ranks.rank(), i);
  ranks.all_reduce(x);
  for (int64_t i = 0; i < count; ++i) {
    SumOf<T> expected = static_cast<SumOf<T>>(brought<T>(0, i));
    for (int r = 1; r < ranks.size(); ++r) expected += static_cast<SumOf<T>>(brought<T>(r, i));
    ASSERT_EQ(x.data<T>()[i], static_cast<T>(expected)) << name_of(x.dtype()) << ", element " << i;
  }
}

template <class T>
void check_all_gather(Communicator& ranks, int64_t count, int64_t unit) {
  const Parts parts{.count = count, .ranks = ranks.size(), .unit = unit};
  const Tensor x({count}, dtype_of<T>);
  for (int64_t i = 0; i < count; ++i) x.data<T>()[i] = brought<T>(ranks.rank(), i);
  ranks.all_gather(x, parts);
  for (int r = 0; r < ranks.size(); ++r) {
    const SlabRange part = parts.of(r);
    for (int64_t i = part.begin; i < part.end; ++i) ASSERT_EQ(x.data<T>()[i], brought<T>(r, i));
  }
}

template <class T>
void check_broadcast(Communicator& ranks, int64_t count, int root) {
  const Tensor x({count}, dtype_of<T>);
  for (int64_t i = 0; i < count; ++i) x.data<T>()[i] = brought<T>(ranks.rank(), i);
  ranks.broadcast(x, root);
  for (int64_t i = 0; i < count; ++i) ASSERT_EQ(x.data<T>()[i], brought<T>(root, i));
}

template <class T>
void check_collectives(Communicator& ranks) {
  for (const int64_t count : odd_sizes) {
    for (const int64_t unit : {1, 16, 16384}) {
      for (int contributors = 0; contributors <= ranks.size(); ++contributors) {
        for (const bool accumulate : {false, true}) {
          check_reduce_scatter<T>(ranks, count, unit, contributors, accumulate, false);
        }
      }
      check_reduce_scatter<T>(ranks, count, unit, ranks.size(), false, true);
      check_all_gather<T>(ranks, count, unit);
    }
    check_all_reduce<T>(ranks, count);
    for (int root = 0; root < ranks.size(); ++root) check_broadcast<T>(ranks, count, root);
  }
}

/// Several at once, asked about in another order than that in which they were started.
inline void check_several_at_once(Communicator& ranks) {
  constexpr int64_t count = 30001;
  const Parts parts{.count = count, .ranks = ranks.size()};
  const SlabRange own = parts.of(ranks.rank());
  std::vector<Tensor> xs, sums;
  std::vector<Pending> reducing, gathering;
  for (int k = 0; k < 5; ++k) {
    xs.emplace_back(Shape{count}, DType::f32);
    for (int64_t i = 0; i < count; ++i) {
      xs.back().data<float>()[i] = brought<float>(ranks.rank(), i + k);
    }
    sums.push_back(xs.back().view(own.begin, {own.size()}));
    reducing.push_back(
        ranks.start_reduce_scatter({&sums.back(), false}, xs.back(), parts, ranks.size()));
  }
  reducing[4]->poll();
  for (size_t k = 0; k < 5; ++k) {  // gathers go on beside the sums that come after them
    reducing[k]->wait();
    gathering.push_back(ranks.start_all_gather(xs[k], parts));
  }
  EXPECT_FALSE(ranks.any(false));
  for (size_t k = 5; k-- > 0;) gathering[k]->wait();
  for (int k = 0; k < 5; ++k) {
    for (int64_t i = 0; i < count; ++i) {
      float expected = brought<float>(0, i + k);
      for (int r = 1; r < ranks.size(); ++r) expected += brought<float>(r, i + k);
      ASSERT_EQ(xs[static_cast<size_t>(k)].data<float>()[i], expected);
    }
  }
}

inline void check_small_talk(Communicator& ranks) {
  for (int r = 0; r < ranks.size(); ++r) EXPECT_TRUE(ranks.any(ranks.rank() == r));
  EXPECT_FALSE(ranks.any(false));
  const auto text_of = [](int rank) {
    return std::string(static_cast<size_t>(rank) * 5, 'a') + "\n";
  };
  const std::vector<std::string> texts = ranks.all_gather_text(text_of(ranks.rank()));
  ASSERT_EQ(std::ssize(texts), ranks.size());
  for (int r = 0; r < ranks.size(); ++r) EXPECT_EQ(texts[static_cast<size_t>(r)], text_of(r));
  EXPECT_EQ(ranks.broadcast_text(ranks.leads() ? "of rank 0" : "another"), "of rank 0");
  EXPECT_EQ(ranks.broadcast_text(""), "");
  ranks.barrier();
}

inline void check_everything(Communicator& ranks) {
  check_collectives<float>(ranks);
  check_collectives<double>(ranks);
  check_collectives<bf16>(ranks);
  check_collectives<int32_t>(ranks);
  check_several_at_once(ranks);
  check_small_talk(ranks);
}

}  // namespace folio
