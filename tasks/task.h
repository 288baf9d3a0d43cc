// What a model is trained to do: the data that a step reads, the loss, and how the model is judged.
// A task is one file beside this, and a line in tasks.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/autograd/tape.h"
#include "folio/data/corpus.h"
#include "folio/data/data_config.h"
#include "folio/data/data_source.h"
#include "folio/data/tokenizer.h"
#include "folio/io/section.h"
#include "folio/io/variety.h"
#include "folio/models/model.h"

namespace folio {

/// Sums over the targets of an evaluation, by name: "loss" (nats, without label smoothing), and
/// whatever else a task measures. Each is divided by the number of targets in the end.
struct Totals {
  std::map<std::string, double, std::less<>> sums;
  int64_t targets = 0;
};

/// What a task needs to know of the rest of a config.
struct TaskInputs {
  DataConfig data;
  int64_t context = 0;  // T, tokens in a sample
  int64_t batch = 0;    // B, samples in a step
  uint64_t seed = 0;
  double label_smoothing = 0.0;
};

class Task {
 public:
  explicit Task(TaskInputs inputs) : inputs_(std::move(inputs)) {}
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // --- data -------------------------------------------------------------------------------------
  /// Reads the text, with `tokenizer` or, if that is null, with one that is built from the text.
  /// Returns the tokenizer; the task keeps none. What follows below needs no data.
  /// Throws Error for bad input.
  virtual std::unique_ptr<Tokenizer> open(std::unique_ptr<Tokenizer> tokenizer);
  /// What open() read.
  const Corpus& corpus() const { return corpus_; }
  /// The samples of a split; null where the split is empty. The task must outlive them.
  virtual std::unique_ptr<DataSource> source(Split split) const = 0;
  /// How many bytes of text the targets of a whole split stand for: for bits a byte. Nothing where
  /// the targets are no text.
  virtual std::optional<int64_t> text_bytes(Split, const Tokenizer&) const { return std::nullopt; }

  // --- mathematics ------------------------------------------------------------------------------
  /// A sample of a batch as text, for reports.
  virtual std::string sample_text(const Batch& batch, int64_t sample,
                                  const Tokenizer& tokenizer) const;

  /// The number of targets in a batch that count.
  virtual int64_t targets(const Batch& batch) const = 0;
  /// The number of tokens that the model reads: what tokens a second count.
  virtual int64_t tokens(const Batch& batch) const { return batch["tokens"].numel(); }
  /// A batch of the shapes that a step reads, of `samples` samples, without meaning: a plan
  /// measures with it what a step costs.
  virtual Batch blank(int64_t samples) const = 0;
  /// The training loss of a micro-batch, one element: the sum over its targets divided by
  /// `targets_of_step`, the number of targets in the whole step.
  virtual Variable loss(Tape& tape, const Model& model, const Batch& batch,
                        int64_t targets_of_step) const = 0;
  /// The names of what measure() sums, "loss" among them.
  virtual std::vector<std::string> measures() const { return {"loss"}; }
  /// Adds what the model does with the batch to `totals`. The tape records nothing.
  virtual void measure(Tape& tape, const Model& model, const Batch& batch,
                       Totals& totals) const = 0;
  /// Before each step, which is counted from 0: for tasks that train on what the model writes. It
  /// may depend on the weights, the seed and the step alone.
  virtual void before_step(const Model& /*model*/, int64_t /*step*/) {}

 protected:
  const TaskInputs& inputs() const { return inputs_; }

 private:
  TaskInputs inputs_;
  Corpus corpus_;
};

/// The keys of one task in the section `task` of a config.
class TaskOptions {
 public:
  virtual ~TaskOptions() = default;
  virtual std::unique_ptr<TaskOptions> clone() const = 0;
  virtual void bind(Section& section) = 0;
  virtual std::unique_ptr<Task> make(TaskInputs inputs) const = 0;
};

/// TaskOptions by a task's own struct, which has bind() and make().
template <class Options>
class TaskOptionsOf : public TaskOptions {
 public:
  Options options;

  std::unique_ptr<TaskOptions> clone() const override {
    return std::make_unique<TaskOptionsOf>(*this);
  }
  void bind(Section& section) override { options.bind(section); }
  std::unique_ptr<Task> make(TaskInputs inputs) const override {
    return options.make(std::move(inputs));
  }
};

using TaskEntry = VarietyEntry<TaskOptions>;

/// A line of the list of tasks.
template <class Options>
TaskEntry task_entry(std::string_view name) {
  return {name, []() -> std::unique_ptr<TaskOptions> {
            return std::make_unique<TaskOptionsOf<Options>>();
          }};
}

/// The tasks, the first of which is the default (tasks.cpp).
std::span<const TaskEntry> tasks();

/// The section `task` of a config.
struct TaskConfig {
  Variety<TaskOptions> kind{tasks()};

  void bind(Section& section);
};

}  // namespace folio
