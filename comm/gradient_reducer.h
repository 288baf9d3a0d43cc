// Sums gradients over ranks in buckets, overlapping with the backward pass.
//
// A bucket is a contiguous range of the gradient slab. Its reduction starts when the last closure
// that writes one of its gradients has run. The first backward pass shows how often each gradient
// is written. Rank 0's order of completion in that pass is the order in which every rank reduces
// buckets in every step.
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
  int64_t bucket_bytes = 25'000'000;  // of gradients; rounded up to one unit
  bool overlap = true;                // with the backward pass
  bool scatter = false;               // each rank gets the sum of its own part of a bucket only
  int64_t unit = 16;                  // elements; parts and buckets are multiples of it
};

/// One round of a step. The first `contributors` ranks contribute a gradient.
struct ReducerRound {
  int contributors = 1;
  bool first = true, last = true;
};

class GradientReducer : public TapeObserver {
 public:
  /// `store`, initialized, and `ranks` must outlive this.
  GradientReducer(ParameterStore& store, Communicator& ranks, const ReducerOptions& options);

  /// Begins a round, which contributors follow with forward and backward passes, and all ranks
  /// with finish().
  void begin(const ReducerRound& round);
  /// Observes `tape` until finish(). Contributors call it before their last backward pass of the
  /// round.
  void watch(Tape& tape);
  /// Waits for the round's sums. After the last round, the gradients are the sum over rounds and
  /// ranks, ((g0 + g1) + g2) + ..., round by round in the order of ranks: in the whole slab or,
  /// with options.scatter, in own_ranges().
  void finish(Tape& tape);

  /// This rank's part of each bucket, ascending.
  std::vector<SlabRange> own_ranges() const;
  /// Sends each rank's own_ranges() of `slab`, which has the layout of the gradients, to all other
  /// ranks.
  void gather(const Tensor& slab);
  /// Returns on rank 0 the slab whose own_ranges() each rank has concatenated in `packed`, and an
  /// empty tensor on the other ranks.
  Tensor gather_packed(const Tensor& packed);

  /// The total time spent in finish().
  double waited_seconds() const { return waited_seconds_; }
  /// The number of buckets whose reduction has started in this round.
  int64_t started() const { return static_cast<int64_t>(started_); }
  const ReducerOptions& options() const { return options_; }

  void after_backward(const char* op, std::span<GradSlot* const> outputs,
                      std::span<GradSlot* const> written) override;

 private:
  struct Bucket {
    SlabRange range, own;
    Parts parts;
    Tensor gradients, own_gradients;  // views of the slab
    Tensor sum;                       // of the own part over several rounds
    size_t parameters = 0;            // number of parameters that overlap with it
    size_t incomplete = 0;            // of these, in this pass
    Pending pending;                  // the reduce-scatter, then the all-gather
    Pending gathering;                // an all-gather that was started with the reduce-scatter
  };
  struct Writes {
    int64_t expected = 0, seen = 0;
    int64_t last = -1;  // the time of the last write, in the first pass
    std::vector<size_t> buckets;
  };

  void make_buckets();
  void learn();
  void start(Bucket& bucket);
  void on_reduced(Bucket& bucket);
  void advance();

  ParameterStore& store_;
  Communicator& ranks_;
  ReducerOptions options_;
  std::vector<Bucket> buckets_;
  std::vector<size_t> order_;   // of reduction
  std::vector<Writes> writes_;  // by parameter number
  std::unordered_map<const GradSlot*, size_t> numbers_;
  ReducerRound round_;
  bool on_device_ = false;  // collectives make progress by themselves, in the order of their start
  bool learned_ = false;    // the order and number of writes are known
  bool observes_ = false;   // the tape of this round
  int64_t clock_ = 0;       // writes so far, in the first pass
  size_t started_ = 0, reduced_ = 0;  // of order_
  double waited_seconds_ = 0.0;
};

}  // namespace folio
