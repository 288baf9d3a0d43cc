// A training step of several ranks, or of micro-batches whose gradients are summed in order.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/train/step_runner.h"

namespace folio {
namespace {

using Clock = std::chrono::steady_clock;

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
    StepResult result{.step = step + 1, .lr = lr};
    // Not earlier, because a resumed run loads whole moments first.
    if (reducer_.options().scatter && !optimizer.sharded()) {
      optimizer.shard(reducer_.own_ranges(),
                      [this](const Tensor& x) { parts_.ranks.all_reduce(x); });
    }
    ranks.set_step(step + 1);

    const std::vector<Batch> batches = draw(step);
    const auto [targets, tokens] = count(batches);
    result.tokens = tokens;

    // Forward, backward and reduce, round by round.
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
    result.loss = added_losses();

    // Clip and update.
    const auto update = Clock::now();
    result.gradient_norm = optimizer.measure();
    judge(result, spike_guard);
    if (result.refusal == Refusal::none) {
      optimizer.update(step, lr);
      if (optimizer.sharded()) {
        reducer_.gather(parameters.trained_values());
        parameters.masters_changed();
      }
      spike_guard.accept(result.gradient_norm);
    } else {
      optimizer.discard_gradients();
    }
    result.optimizer_seconds = std::chrono::duration<double>(Clock::now() - update).count();
    result_ = std::move(result);
  }

  StepResult finish() override { return std::move(result_); }
  GradientReducer* reducer() override { return &reducer_; }

 private:
  /// This rank's samples of each round; an empty batch for a round without any.
  std::vector<Batch> draw(int64_t step) const {
    std::vector<Batch> batches;
    for (int round = 0; round < parts_.split.rounds(); ++round) {
      const Samples own = parts_.split.samples(round, parts_.ranks.rank());
      batches.push_back(own.size() > 0 ? parts_.source.draw(step, own.begin, own.size()) : Batch());
    }
    return batches;
  }

  /// The numbers of targets and tokens in the whole step.
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

  /// The sum over rounds and ranks, in the order and the type in which a single process adds.
  double added_losses() const {
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
  Tensor loss_;    // the sum of a round's micro-batches
  Tensor losses_;  // f64, a value for each rank and round
  StepResult result_;
};

}  // namespace

std::unique_ptr<StepRunner> over_ranks(const StepParts& parts, bool shard) {
  return std::make_unique<RanksStep>(parts, shard);
}

}  // namespace folio
