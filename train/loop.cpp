#include "folio/train/loop.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "folio/inference/generate.h"
#include "folio/io/files.h"
#include "folio/io/numbered_names.h"
#include "folio/io/output.h"
#include "folio/io/stop_signal.h"
#include "folio/run/final_evaluation.h"
#include "folio/run/initial_weights.h"
#include "folio/run/metrics.h"
#include "folio/run/run_directory.h"
#include "folio/run/tensorboard.h"
#include "folio/tensor/error.h"
#include "folio/train/device_choice.h"
#include "folio/train/progress_bar.h"
#include "folio/train/rank_agreement.h"
#include "folio/train/run_start.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

bool is_due(int64_t step, int64_t interval) { return interval > 0 && step % interval == 0; }

Config with_text(Config config, const fs::path& text) {
  config.data.text = text.string();
  return config;
}

std::string prompt_of(const TrainConfig& config) {
  // An empty prompt also means a line break, but prints none.
  return config.sample_prompt == "\n" ? "" : config.sample_prompt;
}

/// One call of train().
class Training {
 public:
  Training(RunPlan plan, const TrainHooks& hooks, Communicator& ranks);
  void run();

 private:
  void print_header();
  void make_steps();
  /// Finishes steps until at most `in_flight` are in flight.
  void finish_steps(int64_t in_flight);
  bool samples_after(int64_t step) const;
  /// Whether the step is followed by an evaluation, a sample or a checkpoint, for which no step may
  /// be in flight.
  bool pauses_after(int64_t step) const;
  void record(const StepResult& result);
  void handle_refusal(const StepResult& result);
  void evaluate();
  void sample();
  void save_due_checkpoints();
  void save(const fs::path& checkpoint);
  void print_summary();
  void evaluate_whole_split();
  bool keeps_checkpoints() const { return run_.config.train.checkpoint_every > 0; }
  /// The value that rank 0 has.
  bool from_root(bool value) { return ranks_.any(ranks_.is_root() && value); }

  OpenedRun run_;
  const TrainHooks& hooks_;
  Communicator& ranks_;
  Clock::time_point start_ = Clock::now();
  Trainer trainer_;
  Progress progress_;
  bool best_is_due_ = false;  // to be saved after the step
  int64_t first_step_ = 0, last_step_;
  std::unique_ptr<MetricsWriter> metrics_;          // null except on rank 0
  std::unique_ptr<TensorboardWriter> tensorboard_;  // null if disabled
  std::unique_ptr<ProgressBar> bar_;
  Evaluation evaluation_;           // the latest
  bool best_is_better_ = false;     // than the last step
  int64_t unwritten_tokens_ = 0;    // since the last line of metrics
  double unwritten_seconds_ = 0.0;  // since the last line of metrics
  double step_seconds_ = 0.0;       // of all steps
};

Training::Training(RunPlan plan, const TrainHooks& hooks, Communicator& ranks)
    : run_(std::move(plan.run)),
      hooks_(hooks),
      ranks_(ranks),
      trainer_(with_text(run_.config, run_.text.path), std::move(plan.tokenizer), ranks),
      last_step_(plan.last_step) {
  // A prompt that cannot be encoded must fail now, not after hours.
  trainer_.tokenizer().encode(prompt_of(run_.config.train), "train.sample_prompt");
  if (const fs::path& from = run_.from.checkpoint; !from.empty()) {
    load_parameters(from, trainer_.model(), trainer_.parameters());
    progress_ = load_progress(from, trainer_.parameters(), trainer_.optimizer());
    trainer_.set_steps_done(progress_.step);
    FOLIO_CHECK(progress_.samples == trainer_.samples_drawn(), (from / "state.json").string(),
                "{} samples were drawn in {} steps, but with train.batch {} it would be {}; "
                "this is another run's checkpoint",
                progress_.samples, progress_.step, run_.config.train.batch,
                trainer_.samples_drawn());
  } else if (const std::string& init_from = run_.config.train.init_from;
             !init_from.empty() && ranks_.is_root()) {
    load_initial_weights(init_from, trainer_.model(), trainer_.parameters());
  }
  if (!run_.from.best_is_whole) {  // the next evaluation saves a new one
    progress_.best_step = -1;
    progress_.best_validation_loss = std::numeric_limits<double>::infinity();
  }
  trainer_.broadcast_state();
  share_progress(progress_, ranks_);
  trainer_.spike_guard().set_norms(progress_.accepted_norms);
  first_step_ = progress_.step;
}

void Training::print_header() {
  const Config& config = run_.config;
  const Corpus& corpus = trainer_.task().corpus();
  const bool characters = trainer_.tokenizer().kind() == "char";
  print(fmt::format("reading {}: {} {}, {} different; {} train, {} validation\n",
                    corpus.path.string(), grouped(std::ssize(corpus.tokens)),
                    characters ? "characters" : "tokens",
                    grouped(trainer_.tokenizer().vocabulary()), grouped(std::ssize(corpus.train())),
                    grouped(std::ssize(corpus.validation()))));
  print(fmt::format("model   {}: {} parameters\n", config.model.family->summary(),
                    grouped(trainer_.parameters().numel())));
  const Device device = trainer_.parameters().device();
  print(fmt::format("device  {}, {}, {}\n", name_of(device), name_of(trainer_.parameters().dtype()),
                    describe_device(device)));
  if (ranks_.size() > 1) print(describe_ranks(ranks_));
  print(fmt::format("steps   {}{} of {} x {} tokens\n",
                    first_step_ > 0 ? fmt::format("{} to ", grouped(first_step_ + 1)) : "",
                    grouped(config.train.steps), config.train.batch, config.model.context()));
  print(fmt::format("run     {}\n", run_.directory.string()));
  print_damage(run_.from);
  if (first_step_ == 0 && !config.train.init_from.empty() && ranks_.is_root()) {
    print(fmt::format("init    the weights of {}\n",
                      find_initial_weights(config.train.init_from).string()));
  }
  if (first_step_ > 0) {
    print(fmt::format("resume  {}, after step {}\n", run_.from.checkpoint.filename().string(),
                      grouped(first_step_)));
  }
  for (const std::string& key : run_.changed_keys) print(fmt::format("changed {}\n", key));
  if (!keeps_checkpoints()) print("note    no checkpoint is kept: train.checkpoint_every is 0\n");
  if (hooks_.notes) {
    for (const auto& note : hooks_.notes(trainer_)) print("note    " + note + "\n");
  }
}

void Training::run() {
  if (ranks_.is_root()) {
    write_run_files(run_, ranks_.size());
    metrics_ = std::make_unique<MetricsWriter>(run_.directory / "metrics.jsonl", first_step_);
    if (run_.config.train.tensorboard) {
      tensorboard_ = std::make_unique<TensorboardWriter>(run_.directory / "tensorboard");
    }
  }
  print_header();
  bar_ = std::make_unique<ProgressBar>(first_step_, last_step_, run_.config.train.steps,
                                       ranks_.size() == 1);
  make_steps();
  bar_->erase();
  print_summary();
}

void Training::make_steps() {
  const StopSignal stop(ranks_.is_root());
  const TrainConfig& config = run_.config.train;
  if (first_step_ == 0 && samples_after(0)) sample();
  // A run that was killed right after saving the best checkpoint has no step checkpoint yet.
  const fs::path newest = step_checkpoint(run_.directory, first_step_);
  if (first_step_ > 0 && from_root(run_.from.checkpoint != newest)) save_due_checkpoints();
  while (trainer_.steps_done() < last_step_) {
    trainer_.begin_step();
    const int64_t step = trainer_.steps_done();
    finish_steps(pauses_after(step) ? 0 : trainer_.most_in_flight() - 1);
    if (progress_.step == step) {  // finished, and not discarded after a refused one
      const bool last = step == config.steps && config.eval_every > 0;
      if (last || is_due(step, config.eval_every)) evaluate();
      if (samples_after(step)) sample();
    }
    if (ranks_.any(stop.requested())) {
      finish_steps(0);
      last_step_ = progress_.step;
    }
    if (trainer_.in_flight() == 0) save_due_checkpoints();
  }
}

bool Training::samples_after(int64_t step) const {
  const std::vector<int64_t>& steps = run_.config.train.sample_at;
  return std::ranges::find(steps, step) != steps.end() ||
         (step == run_.config.train.steps && !steps.empty());
}

bool Training::pauses_after(int64_t step) const {
  const TrainConfig& config = run_.config.train;
  return step == last_step_ || is_due(step, config.eval_every) ||
         is_due(step, config.checkpoint_every) || samples_after(step);
}

void Training::finish_steps(int64_t in_flight) {
  while (trainer_.in_flight() > in_flight) {
    const StepResult result = trainer_.finish_step();
    record(result);
    progress_.step = result.step;
    progress_.accepted_norms = trainer_.spike_guard().norms();
    progress_.samples = result.step * run_.config.train.batch;
    progress_.validation_loss = std::numeric_limits<double>::quiet_NaN();
  }
}

void Training::record(const StepResult& result) {
  step_seconds_ += result.seconds;
  if (result.refusal != Refusal::none) return handle_refusal(result);
  unwritten_tokens_ += result.tokens;
  unwritten_seconds_ += result.seconds;
  const bool last = result.step == last_step_ && run_.config.train.log_every > 0;
  if (metrics_ && (is_due(result.step, run_.config.train.log_every) || last)) {
    const double tokens_per_second = static_cast<double>(unwritten_tokens_) / unwritten_seconds_;
    metrics_->train(result.step, result.loss, result.lr, result.gradient_norm, tokens_per_second);
    if (tensorboard_) {
      tensorboard_->scalars(result.step, {{"train/loss", result.loss},
                                          {"train/lr", result.lr},
                                          {"train/grad_norm", result.gradient_norm},
                                          {"train/tokens_per_second", tokens_per_second}});
    }
    unwritten_tokens_ = 0;
    unwritten_seconds_ = 0.0;
  }
  bar_->step(result);
}

void Training::handle_refusal(const StepResult& result) {
  const TrainConfig& config = run_.config.train;
  const bool spike = result.refusal == Refusal::spike;
  const bool skips = spike || config.on_non_finite == OnNonFinite::skip;
  if (!skips || progress_.skips >= config.max_skips) {
    const UnshardedState unsharded(trainer_);
    if (!ranks_.is_root()) ranks_.wait_for_abort();
    metrics_->sync();
    bar_->erase();
    FOLIO_CHECK(!spike, "train",
                "at step {} {}, and train.max_skips allows only {} skips; raise it or "
                "train.spike_guard and continue with --resume, or lower optimizer.lr",
                result.step, result.reason, config.max_skips);
    if (hooks_.on_non_finite) {
      hooks_.on_non_finite(run_.directory, run_.config, trainer_, progress_, result);
    }
    fail("train", fmt::format("at step {} {}", result.step, result.reason));
  }
  ++progress_.skips;
  if (metrics_) metrics_->skipped(result.step, result.lr, result.gradient_norm, result.reason);
  bar_->line(fmt::format("step {}  skipped: {} ({} of at most {} skips)", grouped(result.step),
                         result.reason, grouped(progress_.skips), grouped(config.max_skips)));
}

void Training::evaluate() {
  if (trainer_.validation() == nullptr) return;
  evaluation_ = trainer_.evaluate(run_.config.train.eval_batches);
  if (metrics_) metrics_->validation(progress_.step, evaluation_.loss);
  if (tensorboard_) {
    tensorboard_->scalars(progress_.step, {{"validation/loss", evaluation_.loss}});
  }
  progress_.validation_loss = evaluation_.loss;
  const bool best = evaluation_.loss < progress_.best_validation_loss;
  bar_->line(fmt::format("step {}  validation loss {:.4f}{}", grouped(progress_.step),
                         evaluation_.loss, best ? " (the best so far)" : ""));
  if (!best) return;
  progress_.best_validation_loss = evaluation_.loss;
  progress_.best_step = progress_.step;
  best_is_due_ = keeps_checkpoints();
}

void Training::sample() {
  const auto* const model = dynamic_cast<const LanguageModel*>(&trainer_.model());
  if (!ranks_.is_root() || model == nullptr) return;
  const TrainConfig& config = run_.config.train;
  bar_->line(fmt::format("--- sample after step {} ---", grouped(trainer_.steps_done())));
  const std::string prompt = prompt_of(config);
  print(prompt);
  const std::string text = generate(*model, trainer_.tokenizer(), prompt,
                                    {.max_tokens = config.sample_tokens,
                                     .temperature = config.sample_temperature,
                                     .seed = config.seed},
                                    print);
  print("\n---\n");
  const std::string name = step_name(trainer_.steps_done()) + ".txt";
  replace_durably(run_.directory / "samples" / name, prompt + text + "\n");
}

/// Saves the best and the step checkpoint if they are due, and removes old ones.
void Training::save_due_checkpoints() {
  const TrainConfig& config = run_.config.train;
  const int64_t step = progress_.step;
  if (std::exchange(best_is_due_, false)) save(run_.directory / "checkpoints" / "best");
  const bool last = step == config.steps ? keeps_checkpoints() : step == last_step_;
  if (!last && !is_due(step, config.checkpoint_every)) return;
  save(step_checkpoint(run_.directory, step));
  if (!ranks_.is_root()) return;
  try {
    remove_old_checkpoints(run_.directory, step, config.keep_last);
  } catch (const Error& error) {  // the new checkpoint is complete, so the run goes on
    bar_->line(fmt::format("note    {}", error.what()));
  }
}

void Training::save(const fs::path& checkpoint) {
  require_same_weights(trainer_.parameters(), ranks_);
  const UnshardedState unsharded(trainer_);
  if (!ranks_.is_root()) return;
  metrics_->sync();  // no checkpoint may be ahead of the metrics
  save_checkpoint(checkpoint, trainer_.model(), trainer_.parameters(), trainer_.optimizer(),
                  trainer_.tokenizer(), run_.config, progress_);
}

void Training::evaluate_whole_split() {
  if (!evaluation_.whole_split) evaluation_ = trainer_.evaluate(0);
  FinalEvaluation final{.step = last_step_,
                        .loss = evaluation_.loss,
                        .tokens = evaluation_.targets,
                        .bits_per_byte = evaluation_.bits_per_byte(
                            trainer_.task().text_bytes(Split::validation, trainer_.tokenizer()))};
  print(fmt::format(
      "validation loss {:.4f} over the whole split ({} tokens{})\n", evaluation_.loss,
      grouped(final.tokens),
      final.bits_per_byte ? fmt::format("; {:.4f} bits a byte", *final.bits_per_byte) : ""));
  const auto best = best_checkpoint(run_.directory);
  if (from_root(best.has_value()) && progress_.best_step >= 0 &&
      progress_.best_step != progress_.step) {
    if (ranks_.is_root()) load_parameters(*best, trainer_.model(), trainer_.parameters());
    trainer_.broadcast_weights();
    best_is_better_ = true;
    final.best_step = progress_.best_step;
    final.best_loss = trainer_.evaluate(0).loss;
    print(fmt::format("the best checkpoint, of step {}, has {:.4f} (--checkpoint best)\n",
                      grouped(progress_.best_step), *final.best_loss));
  }
  if (ranks_.is_root()) write_final_evaluation(run_.directory, final);
}

void Training::print_summary() {
  const std::string run = shell_quoted(run_.directory.string());
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  if (last_step_ < run_.config.train.steps) {
    print(fmt::format("stopped after step {} of {}; continue with: folio train --resume --run {}\n",
                      grouped(last_step_), grouped(run_.config.train.steps), run));
    return;
  }
  if (run_.config.train.eval_every > 0 && trainer_.validation() != nullptr) evaluate_whole_split();
  if (trainer_.parameters().device() == Device::cuda && hooks_.flops_per_token) {
    print(fmt::format("model FLOP utilization  {}\n",
                      flop_utilization(bar_->tokens_per_second(), hooks_.flops_per_token(trainer_),
                                       trainer_.parameters().dtype())));
  }
  print(fmt::format("{} tokens/s; {} in all\nrun  {}\n",
                    grouped(static_cast<int64_t>(bar_->tokens_per_second())),
                    human_seconds(seconds), run));
  if (ranks_.size() > 1 && step_seconds_ > 0.0) {
    const double each = bar_->tokens_per_second() / ranks_.size();
    print(
        fmt::format("ranks   {}, {} tokens/s each; {:.1f}% of the steps' time waiting for "
                    "gradients\n",
                    ranks_.size(), grouped(static_cast<int64_t>(each)),
                    100.0 * trainer_.runner().reducer()->waited_seconds() / step_seconds_));
  }
  if (keeps_checkpoints()) {
    print(
        fmt::format("next folio sample {}{}\n", run, best_is_better_ ? " --checkpoint best" : ""));
  }
}

}  // namespace

void train(const TrainOptions& options, const TrainHooks& hooks, Communicator& ranks) {
  RunPlan plan;
  if (ranks.is_root()) plan = plan_run(options);
  share_plan(plan, ranks);
  if (plan.is_complete) return;
  if (ranks.size() > 1) {
    require_same_arithmetic(plan.run.config, ranks);
    apply_config(plan.run.config, ranks);
  }
  Training(std::move(plan), hooks, ranks).run();
}

}  // namespace folio
