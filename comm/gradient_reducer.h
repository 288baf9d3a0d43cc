// Sums gradients over ranks in buckets, while the backward pass still runs.
//
// A bucket is a contiguous range of the gradient slab. Its sum starts when the last closure that
// writes a gradient in it has run. The first backward pass shows how often each gradient is
// written. Buckets start in the order in which that pass completed them on rank 0, which is the
// same on every rank and in every step.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "folio/autograd/observer.h"
#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/comm/communicator.h"

namespace folio {

struct ReducerOptions {
  int64_t bucket_bytes = 25'000'000;  // of gradients per bucket, at least one unit
  bool overlap = true;                // start sums during the backward pass
  bool scatter = false;               // each rank keeps only its part of a bucket's sum
  int64_t unit = 16;                  // elements; parts and buckets begin at its multiples
};

/// One of the rounds in which gradients are summed. The first `contributors` ranks take part with
/// gradients.
struct ReducerRound {
  int contributors = 1;
  bool first = true, last = true;
};

class GradientReducer : public TapeObserver {
 public:
  /// `store` must be initialized. It and `ranks` must outlive the reducer.
  GradientReducer(ParameterStore& store, Communicator& ranks, const ReducerOptions& options);

  // A round is begin(), then one or more forward and backward passes on contributors, then
  // finish().
  void begin(const ReducerRound& round);
  /// Call it on contributors before the last backward pass of the round. It observes `tape` until
  /// finish().
  void watch(Tape& tape);
  /// Waits for the round's sums. After the last round the gradients are the sum over rounds and
  /// ranks, ((g0 + g1) + g2) + ..., round by round in the order of ranks: in the whole slab or,
  /// with options.scatter, in its own_ranges().
  void finish(Tape& tape);

  /// This rank's part of each bucket, in ascending order.
  std::vector<SlabRange> own_ranges() const;
  /// Copies each rank's own_ranges() of `slab`, which is laid out as the gradients are, to all
  /// other ranks.
  void gather(const Tensor& slab);
  /// Returns on rank 0 the whole slab of which each rank has its own_ranges(), concatenated, in
  /// `packed`; on other ranks an empty tensor.
  Tensor gather_packed(const Tensor& packed);

  /// The time that finish() has spent waiting so far.
  double waited_seconds() const { return waited_seconds_; }
  int64_t buckets() const { return std::ssize(buckets_); }
  /// The number of buckets of this round whose sums were started.
  int64_t started() const { return static_cast<int64_t>(started_); }
  const ReducerOptions& options() const { return options_; }

  void after_forward(const char*, std::span<const Variable>, std::span<const Variable>) override {}
  void before_backward(const char*, std::span<GradSlot* const>) override {}
  void after_backward(const char* op, std::span<GradSlot* const> outputs,
                      std::span<GradSlot* const> written) override;

 private:
  struct Bucket {
    SlabRange range, own;
    Parts parts;
    Tensor gradients, own_gradients;  // views of the slab
    Tensor sum;                       // over rounds, of the own part; empty if there is one round
    std::vector<size_t> parameters;   // that overlap it
    size_t incomplete = 0;            // of these parameters, in this pass
    Pending pending;                  // the sum, then the gathering
    Pending gathering;                // started right after the sum on a GPU
  };
  struct Writes {
    int64_t expected = 0, seen = 0;
    int64_t last = -1;  // time of the last write in the first pass
    std::vector<size_t> buckets;
  };

  void make_buckets();
  void learn();
  void start(Bucket& bucket);
  void summed(Bucket& bucket);
  void advance();

  ParameterStore& store_;
  Communicator& ranks_;
  ReducerOptions options_;
  std::vector<Bucket> buckets_;
  std::vector<size_t> order_;   // of starts; numbers of buckets
  std::vector<Writes> writes_;  // by parameter number
  std::unordered_map<const GradSlot*, size_t> numbers_;
  ReducerRound round_;
  bool on_device_ = false;  // collectives execute in the order of their start
  bool learned_ = false;
  bool observes_ = false;            // the tape, in this round
  int64_t clock_ = 0;                // writes so far in the first pass
  size_t started_ = 0, summed_ = 0;  // how many of order_
  double waited_seconds_ = 0.0;
};

}  // namespace folio
