#include "folio/inspect/gradcheck.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "folio/io/output.h"
#include "folio/kernels/process.h"
#include "folio/run/initial_weights.h"
#include "folio/tensor/error.h"
#include "verbs.h"

namespace folio {
namespace {

struct Options {
  ConfigOptions config;
  int64_t elements = 8;
};

void check_config(Options& options) {
  FOLIO_CHECK(options.elements >= 0, "--elements", "is {}; it must be at least 0 (0 checks all)",
              options.elements);
  const Config config = options.config.load();
  set_threads(static_cast<int>(config.train.threads));
  // A few tokens exercise every path through the model; many would be slow in f64.
  constexpr int64_t samples = 2;
  const int64_t length = std::min<int64_t>(config.model.context(), 16);
  TaskInputs inputs = task_inputs(config);
  inputs.batch = samples;
  inputs.context = length;
  const std::unique_ptr<Task> task = config.task.kind->make(inputs);
  const std::unique_ptr<Tokenizer> tokenizer = task->open(initial_tokenizer(config));
  ParameterStore store(DType::f64);
  const std::unique_ptr<Model> model = make_model(config, Scope(store), tokenizer->vocabulary());
  store.initialize(config.train.seed);
  const Batch batch = task->source(Split::train)->draw(/*step=*/0, /*first=*/0, samples);
  Tape tape;
  tape.set_training(true);
  tape.set_context({.seed = config.train.seed, .step = 0, .first_sample = 0});
  const auto loss = [&](Tape& on) { return task->loss(on, *model, batch, task->targets(batch)); };
  print(fmt::format("{}: {} parameters, f64, {} x {} tokens of {}\n", options.config.path,
                    grouped(store.numel()), samples, length, task->corpus().path.string()));
  const std::vector<GradientCheckRow> rows = check_model(store, loss, tape, options.elements);
  print(gradient_table(rows, store));
  require_right_gradients(rows);
}

}  // namespace

Verb add_gradcheck(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "gradcheck", "Compares every parameter's gradient with finite differences, in f64");
  auto options = std::make_shared<Options>();
  options->config.add_to(*verb);
  verb->add_option("--elements", options->elements,
                   "Elements checked in each parameter, and that of the largest gradient; 0: all")
      ->type_name("N")
      ->capture_default_str();
  verb->footer("Example: folio gradcheck configs/nanogpt_cpu.yaml");
  return {verb, [options] { check_config(*options); }};
}

}  // namespace folio
