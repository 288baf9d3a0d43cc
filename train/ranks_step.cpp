// A training step of several ranks, or of micro-batches that are summed in order.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/train/step_runner.h"

namespace folio {
namespace {

class RanksStep : public StepRunner {
 public:
  RanksStep(const StepParts& parts, bool shard)
      : parts_(parts),
        reducer_(parts.parameters, parts.ranks,
                 ReducerOptions{.bucket_bytes = std::max<int64_t>(
                                    1, std::llround(parts.config.bucket_mb * 1e6)),
                                .overlap = parts.config.overlap,
                                .scatter = shard,
                                .unit = shard ? norm_piece : 16}),
        loss_({1}, accumulator_of(parts.parameters.dtype()), parts.parameters.device()),
        losses_({parts.ranks.size() * parts.split.rounds()}, DType::f64) {}

  void begin(int64_t step, double lr) override {
    auto& [config, task, source, model, parameters, optimizer, tape, spike_guard, split, ranks] =
        parts_;
    // A resumed run has loaded the unsharded moments by now.
    if (reducer_.options().scatter && !optimizer.sharded()) {
      optimizer.shard(reducer_.own_ranges(),
                      [this](const Tensor& x) { parts_.ranks.all_reduce(x); });
    }
    ranks.set_step(step + 1);

    const std::vector<Batch> batches = draw(step);
    const auto [targets, tokens] = count(batches);
    result_ = {.step = step + 1, .lr = lr, .tokens = tokens};
    StepSettings settings = parts_.settings(step);
    settings.targets = targets;
    double* const losses = losses_.data<double>() + ranks.rank() * int64_t{split.rounds()};
    for (int round = 0; round < split.rounds(); ++round) {
      reducer_.begin({.contributors = split.contributors(round),
                      .first = round == 0,
                      .last = round + 1 == split.rounds()});
      losses[round] = 0.0;
      if (const Batch& own = batches[static_cast<size_t>(round)]; own.samples() > 0) {
        settings.first_sample = split.samples(round, ranks.rank()).begin;
        const int64_t last = own.samples() - settings.micro_batch;
        const auto watch_the_last = [this, last](int64_t first) {
          if (first >= last) reducer_.watch(parts_.tape);
          return true;
        };
        compute_gradients(task, model, parameters, tape, own, settings, loss_, watch_the_last);
        losses[round] = loss_.item();
      }
      reducer_.finish(tape);
    }
    ranks.all_gather(losses_, {.count = losses_.numel(), .ranks = ranks.size()});
    result_.loss = sum_losses();

    parts_.update(result_);
    if (result_.refusal == Refusal::none && optimizer.sharded()) {
      reducer_.gather(parameters.trained_values());
      parameters.masters_changed();
    }
  }

  StepResult finish() override { return std::move(result_); }
  GradientReducer* reducer() override { return &reducer_; }

 private:
  /// This rank's samples for each round; an empty batch if it has none.
  std::vector<Batch> draw(int64_t step) const {
    std::vector<Batch> batches;
    for (int round = 0; round < parts_.split.rounds(); ++round) {
      const Samples own = parts_.split.samples(round, parts_.ranks.rank());
      batches.push_back(own.size() > 0 ? parts_.source.draw(step, own.begin, own.size()) : Batch());
    }
    return batches;
  }

  /// The numbers of targets and tokens of the whole step.
  std::pair<int64_t, int64_t> count(const std::vector<Batch>& batches) const {
    const int size = parts_.ranks.size();
    const Tensor counts({2 * size}, DType::f64);
    double* const own = counts.data<double>() + 2 * parts_.ranks.rank();
    own[0] = own[1] = 0.0;
    for (const Batch& batch : batches) {
      if (batch.samples() == 0) continue;
      own[0] += static_cast<double>(parts_.task.targets(batch));
      own[1] += static_cast<double>(parts_.task.tokens(batch));
    }
    parts_.ranks.all_gather(counts, {.count = counts.numel(), .ranks = size});
    std::pair<int64_t, int64_t> sums{0, 0};
    for (int rank = 0; rank < size; ++rank) {
      sums.first += static_cast<int64_t>(counts.data<double>()[2 * rank]);
      sums.second += static_cast<int64_t>(counts.data<double>()[2 * rank + 1]);
    }
    return sums;
  }

  /// The sum over rounds and ranks, in the order and the type in which one process adds losses.
  double sum_losses() const {
    const auto add = [&]<class T>(T sum) {
      const BatchSplit& split = parts_.split;
      for (int round = 0; round < split.rounds(); ++round) {
        for (int rank = 0; rank < split.contributors(round); ++rank) {
          sum += static_cast<T>(losses_.data<double>()[rank * split.rounds() + round]);
        }
      }
      return static_cast<double>(sum);
    };
    return loss_.dtype() == DType::f32 ? add(0.0F) : add(0.0);
  }

  StepParts parts_;
  GradientReducer reducer_;
  Tensor loss_;    // (1), of a round
  Tensor losses_;  // (ranks, rounds), f64
  StepResult result_;
};

}  // namespace

std::unique_ptr<StepRunner> over_ranks(const StepParts& parts, bool shard) {
  return std::make_unique<RanksStep>(parts, shard);
}

}  // namespace folio
