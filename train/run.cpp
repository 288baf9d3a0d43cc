#include "folio/train/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "folio/kernels/threads.h"
#include "folio/tensor/error.h"
#include "folio/train/files.h"
#include "folio/train/metrics.h"
#include "folio/train/output.h"
#include "folio/train/progress.h"
#include "folio/train/run_directory.h"
#include "folio/train/sampling.h"
#include "folio/train/tensorboard.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

bool is_due(int64_t step, int64_t interval) { return interval > 0 && step % interval == 0; }

Config with_text(Config config, const fs::path& text) {
  config.data.text = text.string();
  return config;
}

/// One call of train(), once everything is known to be good.
class Training {
 public:
  Training(OpenedRun run, int64_t last_step);
  void go();

 private:
  void announce();
  void record(const StepResult& result);
  void evaluate();
  void sample();
  void save();
  void conclude();
  bool keeps_checkpoints() const { return run_.config.train.checkpoint_every > 0; }

  OpenedRun run_;
  Clock::time_point start_ = Clock::now();
  Trainer trainer_;
  Progress progress_;
  int64_t first_step_ = 0, last_step_;
  std::unique_ptr<MetricsWriter> metrics_;
  std::unique_ptr<TensorboardWriter> tensorboard_;  // null: not asked for
  std::unique_ptr<ProgressBar> bar_;
  Evaluation evaluation_;  // the latest
  int64_t unwritten_tokens_ = 0;  // since the last line of metrics
  double unwritten_seconds_ = 0.0;
};

Training::Training(OpenedRun run, int64_t last_step)
    : run_(std::move(run)),
      trainer_(with_text(run_.config, run_.text.path),
               run_.checkpoint.empty() ? nullptr : load_tokenizer(run_.checkpoint)),
      last_step_(last_step) {
  // What a sample would stumble over later is better known now.
  trainer_.tokenizer().encode(run_.config.train.sample_prompt == "\n"
                                  ? ""
                                  : run_.config.train.sample_prompt,
                              "train.sample_prompt");
  if (!run_.checkpoint.empty()) {
    load_parameters(run_.checkpoint, trainer_.parameters());
    progress_ = load_progress(run_.checkpoint, trainer_.parameters(), trainer_.optimizer());
    trainer_.set_steps_done(progress_.step);
    first_step_ = progress_.step;
  }
  if (!best_checkpoint(run_.directory)) {  // removed by hand: the next evaluation makes a new one
    progress_.best_step = -1;
    progress_.best_validation_loss = std::numeric_limits<double>::infinity();
  }
}

void Training::announce() {
  const Config& config = run_.config;
  const Corpus& corpus = trainer_.corpus();
  print(fmt::format("reading {}: {} characters, {} different; {} train, {} validation\n",
                    corpus.path.string(), grouped(std::ssize(corpus.tokens)),
                    grouped(trainer_.tokenizer().vocabulary()), grouped(std::ssize(corpus.train())),
                    grouped(std::ssize(corpus.validation()))));
  print(fmt::format("model   {} layers, {} heads, width {}, context {}: {} parameters\n",
                    config.model.layers, config.model.heads, config.model.width,
                    config.model.context, grouped(trainer_.parameters().numel())));
  print(fmt::format("device  {}, {}, {} threads\n", name_of(trainer_.parameters().device()),
                    name_of(trainer_.parameters().dtype()), threads()));
  print(fmt::format("steps   {}{} of {} x {} tokens\n",
                    first_step_ > 0 ? fmt::format("{} to ", grouped(first_step_ + 1)) : "",
                    grouped(config.train.steps), config.train.batch, config.model.context));
  print(fmt::format("run     {}\n", run_.directory.string()));
  for (const std::string& key : run_.changed_keys) print(fmt::format("changed {}\n", key));
  if (!keeps_checkpoints()) print("note    no checkpoint is kept: train.checkpoint_every is 0\n");
}

void Training::go() {
  const TrainConfig& config = run_.config.train;
  write_run_files(run_);
  metrics_ = std::make_unique<MetricsWriter>(run_.directory / "metrics.jsonl", first_step_);
  if (config.tensorboard) {
    tensorboard_ = std::make_unique<TensorboardWriter>(run_.directory / "tensorboard");
  }
  announce();
  bar_ = std::make_unique<ProgressBar>(first_step_, last_step_, config.steps);
  const auto sample_if_asked = [&](int64_t step) {
    if (std::ranges::find(config.sample_at, step) != config.sample_at.end()) sample();
  };
  if (first_step_ == 0) sample_if_asked(0);
  for (int64_t step = first_step_ + 1; step <= last_step_; ++step) {
    record(trainer_.step());
    progress_.step = step;
    progress_.validation_loss = std::numeric_limits<double>::quiet_NaN();
    const bool finished = step == config.steps;
    if (is_due(step, config.eval_every) || (finished && config.eval_every > 0)) evaluate();
    sample_if_asked(step);
    if (is_due(step, config.checkpoint_every) || (finished && keeps_checkpoints()) ||
        (step == last_step_ && !finished)) {
      save();
    }
  }
  metrics_->flush();
  bar_->erase();
  conclude();
}

void Training::record(const StepResult& result) {
  FOLIO_CHECK(std::isfinite(result.loss) && std::isfinite(result.gradient_norm), "train",
              "the loss of step {} is {} and the gradient's norm {}: training has diverged; lower "
              "optimizer.lr (it is {}), raise schedule.warmup, or set optimizer.clip",
              result.step, result.loss, result.gradient_norm, result.lr);
  unwritten_tokens_ += result.tokens;
  unwritten_seconds_ += result.seconds;
  const bool last = result.step == last_step_ && run_.config.train.log_every > 0;
  if (is_due(result.step, run_.config.train.log_every) || last) {
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

void Training::evaluate() {
  if (trainer_.corpus().validation().empty()) return;
  evaluation_ = trainer_.evaluate(run_.config.train.eval_batches);
  metrics_->validation(progress_.step, evaluation_.loss);
  if (tensorboard_) {
    tensorboard_->scalars(progress_.step, {{"validation/loss", evaluation_.loss}});
  }
  metrics_->flush();
  progress_.validation_loss = evaluation_.loss;
  const bool best = evaluation_.loss < progress_.best_validation_loss;
  bar_->line(fmt::format("step {}  validation loss {:.4f}{}", grouped(progress_.step),
                         evaluation_.loss, best ? " (the best so far)" : ""));
  if (!best) return;
  progress_.best_validation_loss = evaluation_.loss;
  progress_.best_step = progress_.step;
  if (keeps_checkpoints()) {
    save_checkpoint(run_.directory / "checkpoints" / "best", trainer_.parameters(),
                    trainer_.optimizer(), trainer_.tokenizer(), run_.config, progress_);
  }
}

void Training::sample() {
  const TrainConfig& config = run_.config.train;
  bar_->line(fmt::format("--- sample after step {} ---", grouped(trainer_.steps_done())));
  const std::string prompt = config.sample_prompt == "\n" ? "" : config.sample_prompt;
  print(prompt);
  const std::string text = generate(trainer_.model(), trainer_.tokenizer(), prompt,
                                    {.max_tokens = config.sample_tokens,
                                     .temperature = config.sample_temperature,
                                     .seed = config.seed},
                                    print);
  print("\n---\n");
  const std::string name = fmt::format("step_{}.txt", trainer_.steps_done());
  replace_durably(run_.directory / "samples" / name, prompt + text + "\n");
}

void Training::save() {
  metrics_->flush();  // so that no checkpoint is ahead of the metrics
  save_checkpoint(run_.directory / "checkpoints" / fmt::format("step_{}", progress_.step),
                  trainer_.parameters(), trainer_.optimizer(), trainer_.tokenizer(), run_.config,
                  progress_);
}

void Training::conclude() {
  const std::string run = run_.directory.string();
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  if (last_step_ < run_.config.train.steps) {
    print(fmt::format("stopped after step {} of {}; continue with: folio train --resume --run {}\n",
                      grouped(last_step_), grouped(run_.config.train.steps), run));
    return;
  }
  if (run_.config.train.eval_every > 0 && !trainer_.corpus().validation().empty()) {
    const int64_t all = std::ssize(trainer_.corpus().validation()) - 1;
    if (evaluation_.tokens != all) evaluation_ = trainer_.evaluate(0);
    print(fmt::format("validation loss {:.4f} over the whole split ({} tokens)\n",
                      evaluation_.loss, grouped(all)));
    const auto best = best_checkpoint(run_.directory);
    if (best && progress_.best_step != progress_.step) {
      load_parameters(*best, trainer_.parameters());
      print(fmt::format("the best checkpoint, of step {}, has {:.4f} (--checkpoint best)\n",
                        grouped(progress_.best_step), trainer_.evaluate(0).loss));
    }
  }
  print(fmt::format("{} tokens/s; {} in all\nrun  {}\n",
                    grouped(static_cast<int64_t>(bar_->tokens_per_second())),
                    human_seconds(seconds), run));
  if (keeps_checkpoints()) print(fmt::format("next folio sample {}\n", run));
}

}  // namespace

void train(const TrainOptions& options) {
  FOLIO_CHECK(options.stop_at >= 0, "train", "--stop-at is {}; it must be at least 1",
              options.stop_at);
  OpenedRun run = open_run(options);
  const int64_t steps = run.config.train.steps;
  const int64_t last_step = options.stop_at > 0 ? std::min(options.stop_at, steps) : steps;
  if (!run.checkpoint.empty()) {
    const int64_t done = read_progress(run.checkpoint).step;
    if (done >= last_step) {
      print(fmt::format("{}: {} steps are done, as many as asked for; nothing is left to do{}\n",
                        run.directory.string(), grouped(done),
                        last_step == steps ? " (more with --set train.steps=N)" : ""));
      return;
    }
  }
  Training(std::move(run), last_step).go();
}

std::unique_ptr<LoadedRun> load_run(const fs::path& run, const std::string& which) {
  const fs::path config = run / "config.yaml";
  FOLIO_CHECK(fs::is_regular_file(config), run.string(),
              "this is not a run directory: it has no config.yaml; name the --run of a folio train");
  auto loaded = std::make_unique<LoadedRun>();
  loaded->config = load_config(config);
  loaded->checkpoint = find_checkpoint(run, which);
  loaded->tokenizer = load_tokenizer(loaded->checkpoint);
  loaded->config.model.vocabulary = loaded->tokenizer->vocabulary();
  loaded->model = std::make_unique<Gpt>(Scope(loaded->parameters), loaded->config.model);
  loaded->parameters.initialize(loaded->config.train.seed);
  load_parameters(loaded->checkpoint, loaded->parameters);
  loaded->progress = read_progress(loaded->checkpoint);
  return loaded;
}

}  // namespace folio
