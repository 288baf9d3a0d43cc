// Gradients summed over ranks in buckets, while the backward pass still runs.
//
// A bucket is a contiguous range of the gradients' slab. It is complete, and starts on its way,
// when the last closure has run that writes a gradient in it. How often a backward pass writes each
// gradient is learned from the first one. In which order buckets start is rank 0's order of that
// pass: the same on every rank, and in every step.
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
  int64_t bucket_bytes = 25'000'000;  // of gradients; at least a unit is taken
  bool overlap = true;                // with the backward pass; else all starts after it
  bool scatter = false;               // each rank keeps the sum of its own part of a bucket only
  int64_t unit = 16;                  // elements: parts and buckets are cut at its multiples
};

/// A sum of gradients in one or several rounds; in each the first `contributors` ranks bring one.
struct ReducerRound {
  int contributors = 1;
  bool first = true, last = true;
};

class GradientReducer : public TapeObserver {
 public:
  /// `store`, initialized, and `ranks` must outlive this.
  GradientReducer(ParameterStore& store, Communicator& ranks, const ReducerOptions& options);

  // A round is: begin(), on contributors a forward and backward pass or several, finish().
  void begin(const ReducerRound& round);
  /// On contributors, before the backward pass after which this rank's gradients are complete; it
  /// observes `tape` until finish().
  void watch(Tape& tape);
  /// Waits for the round's sums. After the last, the gradients are the sum over rounds and ranks,
  /// ((g0 + g1) + g2) + ..., round by round in order of rank: the whole slab or, with
  /// options.scatter, own_ranges() of it.
  void finish(Tape& tape);

  /// This rank's part of each bucket, ascending.
  std::vector<SlabRange> own_ranges() const;
  /// Each rank's own_ranges() of `slab`, laid out as the gradients are, go to all others.
  void gather(const Tensor& slab);
  /// The same from `packed`, which holds own_ranges() of a slab alone, one behind the other: the
  /// whole slab on rank 0; an empty tensor on others.
  Tensor gather_packed(const Tensor& packed);

  /// Spent in finish(), waiting, since the beginning.
  double waited_seconds() const { return waited_seconds_; }
  int64_t buckets() const { return std::ssize(buckets_); }
  /// Buckets of this round that are on their way, or there.
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
    Tensor gradients, own_gradients;  // of the slab
    Tensor sum;                       // over rounds, of the own part; empty where there is one
    std::vector<size_t> parameters;   // that lie in it, wholly or in part
    size_t incomplete = 0;            // of these, in this pass
    Pending pending;                  // its sum, then its gathering
    Pending gathering;                // that was started at once behind the sum, see start()
  };
  struct Writes {
    int64_t expected = 0, seen = 0;
    int64_t last = -1;  // when, in the pass that is learned from
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
  std::vector<size_t> order_;   // in which buckets start
  std::vector<Writes> writes_;  // by number of the parameter
  std::unordered_map<const GradSlot*, size_t> numbers_;
  ReducerRound round_;
  bool on_device_ = false;  // collectives move by themselves, in the order of their start
  bool learned_ = false;
  bool observes_ = false;            // the tape of this round
  int64_t clock_ = 0;                // writes so far, in the pass that is learned from
  size_t started_ = 0, summed_ = 0;  // of order_
  double waited_seconds_ = 0.0;
};

}  // namespace folio
