#include "folio/comm/gradient_reducer.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>
#include <utility>

#include "folio/kernels/kernels.h"
#include "folio/tensor/error.h"

namespace folio {

GradientReducer::GradientReducer(ParameterStore& store, Communicator& ranks,
                                 const ReducerOptions& options)
    : store_(store), ranks_(ranks), options_(options), on_device_(store.device() != Device::cpu) {
  FOLIO_CHECK(store.gradients(), "gradient reducer", "the parameters must be initialized first");
  FOLIO_CHECK(options.bucket_bytes > 0 && options.unit > 0, "gradient reducer",
              "buckets have {} bytes and parts units of {}; both must be above 0",
              options.bucket_bytes, options.unit);
  make_buckets();
}

void GradientReducer::make_buckets() {
  const Tensor& slab = store_.gradients();
  const int64_t unit = options_.unit;
  const int64_t wanted = options_.bucket_bytes / static_cast<int64_t>(size_of(slab.dtype()));
  // If the bucket size allows it, all ranks get equal parts, which need the fewest messages.
  const int64_t even = unit * ranks_.size();
  const int64_t size = wanted >= even ? wanted / even * even : std::max(unit, wanted / unit * unit);
  for (int64_t begin = 0; begin < slab.numel(); begin += size) {
    Bucket& bucket = buckets_.emplace_back();
    bucket.range = {begin, std::min(slab.numel(), begin + size)};
    bucket.parts = {.count = bucket.range.size(), .ranks = ranks_.size(), .unit = unit};
    const SlabRange part = bucket.parts.of(ranks_.rank());
    bucket.own = {begin + part.begin, begin + part.end};
    bucket.gradients = slab.view(begin, {bucket.range.size()});
    bucket.own_gradients = slab.view(bucket.own.begin, {bucket.own.size()});
  }
  for (const Parameter& parameter : store_.parameters()) {
    Writes& writes = writes_.emplace_back();
    if (!parameter.grad) continue;
    numbers_[&parameter.slot] = writes_.size() - 1;
    const int64_t end = parameter.offset + parameter.shape.numel();
    for (int64_t b = parameter.offset / size; b * size < end; ++b) {
      writes.buckets.push_back(static_cast<size_t>(b));
      ++buckets_[static_cast<size_t>(b)].parameters;
    }
  }
  order_.resize(buckets_.size());
  std::iota(order_.begin(), order_.end(), size_t{0});
}

std::vector<SlabRange> GradientReducer::own_ranges() const {
  std::vector<SlabRange> ranges;
  for (const Bucket& bucket : buckets_) {
    if (bucket.own.size() > 0) ranges.push_back(bucket.own);
  }
  return ranges;
}

void GradientReducer::begin(const ReducerRound& round) {
  round_ = round;
  started_ = reduced_ = 0;
  for (Writes& writes : writes_) writes.seen = 0;
  for (Bucket& bucket : buckets_) {
    // A gradient that no closure writes is set to zero in finish().
    bucket.incomplete = bucket.parameters;
    if (!(round.first && round.last) && !bucket.sum) {
      bucket.sum = Tensor(bucket.own_gradients.shape(), bucket.gradients.dtype(), store_.device());
    }
  }
}

void GradientReducer::watch(Tape& tape) {
  observes_ = options_.overlap && ranks_.size() > 1;
  if (observes_) tape.set_observer(this);
}

void GradientReducer::after_backward(const char* op, std::span<GradSlot* const>,
                                     std::span<GradSlot* const> written) {
  for (const GradSlot* slot : written) {
    const auto number = numbers_.find(slot);
    if (number == numbers_.end()) continue;
    Writes& writes = writes_[number->second];
    ++writes.seen;
    if (!learned_) {
      writes.last = clock_++;
      continue;
    }
    FOLIO_CHECK(
        writes.seen <= writes.expected, "gradient reducer",
        "{} writes the gradient of {} once more than in the first step, after it was sent "
        "to the other ranks; a model whose ops change between steps needs overlap to be off",
        op, store_.parameters()[number->second].name);
    if (writes.seen < writes.expected) continue;
    for (const size_t bucket : writes.buckets) --buckets_[bucket].incomplete;
  }
  if (!learned_) return;
  while (started_ < order_.size() && buckets_[order_[started_]].incomplete == 0) {
    start(buckets_[order_[started_++]]);
  }
  advance();
}

// Learns from the first observed pass.
void GradientReducer::learn() {
  std::vector<int64_t> complete(buckets_.size(), -1);
  for (Writes& writes : writes_) {
    writes.expected = writes.seen;
    for (const size_t bucket : writes.buckets) {
      const int64_t when = writes.seen > 0 ? writes.last : std::numeric_limits<int64_t>::max();
      complete[bucket] = std::max(complete[bucket], when);
    }
  }
  std::ranges::stable_sort(order_, {}, [&](size_t bucket) { return complete[bucket]; });
  const Tensor order({std::ssize(order_)}, DType::i32);
  std::copy(order_.begin(), order_.end(), order.data<int32_t>());
  ranks_.broadcast(order);
  std::copy_n(order.data<int32_t>(), order_.size(), order_.begin());
  learned_ = true;
}

void GradientReducer::start(Bucket& bucket) {
  const bool one_round = round_.first && round_.last;
  const Tensor& sum = one_round ? bucket.own_gradients : bucket.sum;
  bucket.pending = ranks_.start_reduce_scatter({&sum, !round_.first}, bucket.gradients,
                                               bucket.parts, round_.contributors);
  if (on_device_ && one_round && !options_.scatter) {
    bucket.gathering = ranks_.start_all_gather(bucket.gradients, bucket.parts);
  }
}

// Continues after the reduce-scatter of a bucket.
void GradientReducer::on_reduced(Bucket& bucket) {
  if (round_.last && !round_.first) {
    kernels_for(store_.device()).copy({&bucket.own_gradients, false}, bucket.sum);
  }
  if (bucket.gathering) {
    bucket.pending = std::move(bucket.gathering);
  } else if (round_.last && !options_.scatter) {
    bucket.pending = ranks_.start_all_gather(bucket.gradients, bucket.parts);
  } else {
    bucket.pending.reset();
  }
}

// Continues with the buckets that have been reduced, in order. On a device, the order of
// collectives would then depend on timing and differ between ranks, so finish() does it there.
void GradientReducer::advance() {
  if (on_device_) return;
  while (reduced_ < started_) {
    Bucket& bucket = buckets_[order_[reduced_]];
    if (!bucket.pending->poll()) return;
    on_reduced(bucket);
    ++reduced_;
  }
  // Polling one operation makes MPI progress all of them.
  if (started_ > 0) {
    Bucket& latest = buckets_[order_[started_ - 1]];
    if (latest.pending) latest.pending->poll();
  }
}

void GradientReducer::finish(Tape& tape) {
  const bool observed = std::exchange(observes_, false);
  if (observed) tape.set_observer(nullptr);
  const auto start_of_wait = std::chrono::steady_clock::now();
  store_.finish_gradients();
  // All ranks contribute to the first round, so all of them call learn().
  if (observed && !learned_) learn();
  while (started_ < order_.size()) start(buckets_[order_[started_++]]);
  while (reduced_ < order_.size()) {
    Bucket& bucket = buckets_[order_[reduced_++]];
    bucket.pending->wait();
    on_reduced(bucket);
  }
  for (const size_t number : order_) {
    Bucket& bucket = buckets_[number];
    if (bucket.pending) bucket.pending->wait();
    bucket.pending.reset();
  }
  ranks_.synchronize();
  const auto waited = std::chrono::steady_clock::now() - start_of_wait;
  waited_seconds_ += std::chrono::duration<double>(waited).count();
}

void GradientReducer::gather(const Tensor& slab) {
  FOLIO_CHECK(slab.numel() == store_.trained_numel(), "gradient reducer",
              "a slab of {} elements cannot be gathered; the parameters have {}", slab.numel(),
              store_.trained_numel());
  for (const Bucket& bucket : buckets_) {
    const Tensor part = slab.view(bucket.range.begin, {bucket.range.size()});
    ranks_.start_all_gather(part, bucket.parts)->wait();
  }
  ranks_.synchronize();
}

Tensor GradientReducer::gather_packed(const Tensor& packed) {
  const Kernels& kernels = kernels_for(store_.device());
  const Tensor whole = ranks_.is_root()
                           ? Tensor({store_.trained_numel()}, packed.dtype(), packed.device())
                           : Tensor();
  int64_t next = 0;
  for (const Bucket& bucket : buckets_) {  // the other ranks need the memory of only one bucket
    const Tensor all({bucket.range.size()}, packed.dtype(), packed.device());
    if (bucket.own.size() > 0) {
      const Tensor own = all.view(bucket.own.begin - bucket.range.begin, {bucket.own.size()});
      kernels.copy({&own, false}, packed.view(next, {bucket.own.size()}));
      next += bucket.own.size();
    }
    ranks_.all_gather(all, bucket.parts);
    if (!ranks_.is_root()) continue;
    const Tensor place = whole.view(bucket.range.begin, {bucket.range.size()});
    kernels.copy({&place, false}, all);
  }
  return whole;
}

}  // namespace folio
