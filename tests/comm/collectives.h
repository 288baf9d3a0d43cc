// Checks of every collective against a serial reference; for any communicator, and tensors of any
// device that it carries.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "folio/comm/communicator.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"

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

/// What a rank brings, of `count` elements.
template <class T>
std::vector<T> brought_by(int rank, int64_t count, int64_t shift = 0) {
  std::vector<T> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = brought<T>(rank, i + shift);
  return values;
}

template <class T>
Tensor tensor_on(Device device, const std::vector<T>& values) {
  return on_device(Tensor::from({std::ssize(values)}, values), device);
}

template <class T>
using SumOf = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

template <class T>
void check_reduce_scatter(Communicator& ranks, Device device, int64_t count, int64_t unit,
                          int contributors, bool accumulate, bool in_place) {
  const Parts parts{.count = count, .ranks = ranks.size(), .unit = unit};
  const SlabRange own = parts.of(ranks.rank());
  const std::vector<T> own_values = brought_by<T>(ranks.rank(), count);
  const Tensor x = tensor_on(device, own_values);
  std::vector<T> before(static_cast<size_t>(own.size()), static_cast<T>(5.0F));
  if (in_place) std::copy_n(own_values.begin() + own.begin, own.size(), before.begin());
  const Tensor sum = in_place ? x.view(own.begin, {own.size()}) : tensor_on(device, before);
  ranks.start_reduce_scatter({&sum, accumulate}, x, parts, contributors)->wait();
  const std::vector<T> result = sum.to_vector<T>();
  for (int64_t i = 0; i < own.size(); ++i) {
    SumOf<T> expected =
        accumulate ? static_cast<SumOf<T>>(before[static_cast<size_t>(i)]) : SumOf<T>{};
    for (int r = 0; r < contributors; ++r) {
      const auto next = static_cast<SumOf<T>>(brought<T>(r, own.begin + i));
      expected = r == 0 && !accumulate ? next : static_cast<SumOf<T>>(expected + next);
    }
    ASSERT_EQ(result[static_cast<size_t>(i)], static_cast<T>(expected))
        << name_of(x.dtype()) << ", " << count << " elements, element " << own.begin + i;
  }
  const std::vector<T> after = x.to_vector<T>();
  for (int64_t i = 0; i < count; ++i) {  // what is not the sum's is as it was
    if (in_place && i >= own.begin && i < own.end) continue;
    ASSERT_EQ(after[static_cast<size_t>(i)], brought<T>(ranks.rank(), i));
  }
}

template <class T>
void check_all_reduce(Communicator& ranks, Device device, int64_t count) {
  const Tensor x = tensor_on(device, brought_by<T>(ranks.rank(), count));
  ranks.all_reduce(x);
  const std::vector<T> result = x.to_vector<T>();
  for (int64_t i = 0; i < count; ++i) {
    SumOf<T> expected = static_cast<SumOf<T>>(brought<T>(0, i));
    for (int r = 1; r < ranks.size(); ++r) expected += static_cast<SumOf<T>>(brought<T>(r, i));
    ASSERT_EQ(result[static_cast<size_t>(i)], static_cast<T>(expected))
        << name_of(x.dtype()) << ", element " << i;
  }
}

template <class T>
void check_all_gather(Communicator& ranks, Device device, int64_t count, int64_t unit) {
  const Parts parts{.count = count, .ranks = ranks.size(), .unit = unit};
  const Tensor x = tensor_on(device, brought_by<T>(ranks.rank(), count));
  ranks.all_gather(x, parts);
  const std::vector<T> result = x.to_vector<T>();
  for (int r = 0; r < ranks.size(); ++r) {
    const SlabRange part = parts.of(r);
    for (int64_t i = part.begin; i < part.end; ++i) {
      ASSERT_EQ(result[static_cast<size_t>(i)], brought<T>(r, i));
    }
  }
}

template <class T>
void check_broadcast(Communicator& ranks, Device device, int64_t count, int root) {
  const Tensor x = tensor_on(device, brought_by<T>(ranks.rank(), count));
  ranks.broadcast(x, root);
  ASSERT_EQ(x.to_vector<T>(), brought_by<T>(root, count));
}

template <class T>
void check_collectives(Communicator& ranks, Device device) {
  for (const int64_t count : odd_sizes) {
    for (const int64_t unit : {1, 16, 16384}) {
      for (int contributors = 0; contributors <= ranks.size(); ++contributors) {
        for (const bool accumulate : {false, true}) {
          check_reduce_scatter<T>(ranks, device, count, unit, contributors, accumulate, false);
        }
      }
      check_reduce_scatter<T>(ranks, device, count, unit, ranks.size(), false, true);
      check_all_gather<T>(ranks, device, count, unit);
    }
    check_all_reduce<T>(ranks, device, count);
    for (int root = 0; root < ranks.size(); ++root) check_broadcast<T>(ranks, device, count, root);
  }
}

/// Several at once, asked about in another order than that in which they were started.
inline void check_several_at_once(Communicator& ranks, Device device) {
  constexpr int64_t count = 30001;
  const Parts parts{.count = count, .ranks = ranks.size()};
  const SlabRange own = parts.of(ranks.rank());
  std::vector<Tensor> xs, sums;
  std::vector<Pending> reducing, gathering;
  for (int k = 0; k < 5; ++k) {
    xs.push_back(tensor_on(device, brought_by<float>(ranks.rank(), count, k)));
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
    const std::vector<float> result = xs[static_cast<size_t>(k)].to_vector<float>();
    for (int64_t i = 0; i < count; ++i) {
      float expected = brought<float>(0, i + k);
      for (int r = 1; r < ranks.size(); ++r) expected += brought<float>(r, i + k);
      ASSERT_EQ(result[static_cast<size_t>(i)], expected);
    }
  }
}

/// A sum of what a kernel has still to write, in memory that nobody else keeps.
inline void check_takes_its_place(Communicator& ranks, Device device) {
  constexpr int64_t count = 1001;
  const Parts parts{.count = count, .ranks = ranks.size()};
  const SlabRange own = parts.of(ranks.rank());
  const Tensor sum({own.size()}, DType::f32, device);
  Pending pending;
  {
    const Tensor x = tensor_on(device, brought_by<float>(ranks.rank(), count));
    const Tensor half = tensor_on<float>(device, {0.5F}), written({count}, DType::f32, device);
    kernels_for(device).scale({&written, false}, x, half);
    pending = ranks.start_reduce_scatter({&sum, false}, written, parts, ranks.size());
  }
  ranks.synchronize();  // a device has not been waited for otherwise
  pending->wait();
  const std::vector<float> result = sum.to_vector<float>();
  for (int64_t i = 0; i < own.size(); ++i) {
    float expected = 0.5F * brought<float>(0, own.begin + i);
    for (int r = 1; r < ranks.size(); ++r) expected += 0.5F * brought<float>(r, own.begin + i);
    ASSERT_EQ(result[static_cast<size_t>(i)], expected) << "element " << i;
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
  EXPECT_EQ(ranks.broadcast_text(ranks.is_root() ? "of rank 0" : "another"), "of rank 0");
  EXPECT_EQ(ranks.broadcast_text(""), "");
  ranks.barrier();
}

inline void check_everything(Communicator& ranks, Device device = Device::cpu) {
  check_collectives<float>(ranks, device);
  check_collectives<double>(ranks, device);
  check_collectives<bf16>(ranks, device);
  check_collectives<int32_t>(ranks, device);
  check_several_at_once(ranks, device);
  check_takes_its_place(ranks, device);
  check_small_talk(ranks);
}

}  // namespace folio
