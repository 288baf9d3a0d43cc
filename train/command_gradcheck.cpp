#include <algorithm>
#include <array>
#include <memory>

#include "folio/autograd/gradient_check.h"
#include "folio/data/corpus.h"
#include "folio/layers/gpt.h"
#include "folio/tensor/error.h"
#include "folio/train/commands.h"
#include "folio/train/output.h"
#include "folio/train/trainer.h"

namespace folio {
namespace {

struct Options {
  std::string config;
  std::vector<std::string> overrides;
  int64_t elements = 8;
};

/// Steps of the differences, tried until every row agrees at one of them. A large step shows the
/// model's curvature and the kinks of ReLU, a small one the rounding of f64, and where between them
/// neither is seen differs from model to model; a wrong gradient is off at every step.
constexpr std::array<double, 4> steps = {3e-5, 1e-5, 1e-4, 3e-6};

/// Returns the number of parameters whose gradient is off.
int64_t check_model(const Options& options) {
  Config config = load_config(options.config, options.overrides);
  const std::filesystem::path path = find_text(config.data.text);
  const std::string text = read_file(path);
  const auto tokenizer = build_tokenizer(config.data, text, path.string());
  const Corpus corpus = make_corpus(path, text, *tokenizer, config.data.validation_fraction,
                                    config.model.context);
  config.model.vocabulary = tokenizer->vocabulary();

  ParameterStore store(DType::f64);
  const Gpt model(Scope(store), config.model);
  store.initialize(config.train.seed);
  // Every path through the model is there in few tokens; f64 would be slow on many.
  constexpr int64_t samples = 2;
  const int64_t length = std::min<int64_t>(config.model.context, 16);
  const Batch batch =
      BatchSampler(corpus.train(), samples, length, config.data.sampling, config.train.seed)
          .draw(/*step=*/0, /*first=*/0, samples);
  Tape tape;
  tape.set_training(true);
  tape.set_context({.seed = config.train.seed, .step = 0, .first_sample = 0});
  const auto loss = [&](Tape& on) {
    return model.loss(on, batch.inputs, batch.targets, config.train.label_smoothing);
  };
  print(fmt::format("{}: {} parameters, f64, {} x {} tokens of {}\n", options.config,
                    grouped(store.numel()), samples, length, path.string()));
  GradientCheckOptions how{.step = steps.front(), .max_elements = options.elements};
  std::vector<GradientCheckRow> rows = check_gradients(store, loss, tape, how);
  for (size_t i = 1; i < steps.size() && !std::ranges::all_of(rows, &GradientCheckRow::passed); ++i) {
    how.step = steps[i];
    const std::vector<GradientCheckRow> again = check_gradients(store, loss, tape, how);
    for (size_t r = 0; r < rows.size(); ++r) {
      if (again[r].max_relative_error < rows[r].max_relative_error) rows[r] = again[r];
    }
  }

  size_t width = 9;
  for (const GradientCheckRow& row : rows) width = std::max(width, row.name.size());
  print(fmt::format("{:<{}}  {:>14}  {:>7}  {:>14}\n", "parameter", width, "shape", "checked",
                    "relative error"));
  int64_t off = 0;
  double worst = 0.0;
  for (const GradientCheckRow& row : rows) {
    print(fmt::format("{:<{}}  {:>14}  {:>7}  {:>14.1e}  {}\n", row.name, width,
                      store.find(row.name).shape.to_string(), grouped(row.checked),
                      row.max_relative_error, row.passed ? "ok" : "OFF"));
    if (!row.passed) {
      ++off;
      print(fmt::format("{:<{}}  element {}: backward gives {:.10g}, differences {:.10g}\n", "",
                        width, row.worst_element, row.analytic, row.numeric));
    }
    worst = std::max(worst, row.max_relative_error);
  }
  print(fmt::format("{} parameters: {} ok, {} off; largest relative error {:.1e} (allowed {:.0e})\n",
                    rows.size(), std::ssize(rows) - off, off, worst, how.tolerance));
  return off;
}

}  // namespace

Verb add_gradcheck(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "gradcheck", "Compares every parameter's gradient with finite differences, in f64");
  auto options = std::make_shared<Options>();
  verb->add_option("config", options->config, "The config, a YAML file")->type_name("CONFIG");
  add_overrides(*verb, options->overrides);
  verb->add_option("--elements", options->elements, "Elements checked in each parameter; 0: all")
      ->type_name("N")
      ->check(CLI::Validator(CLI::NonNegativeNumber).description(""))
      ->capture_default_str();
  verb->footer("Example: folio gradcheck configs/nanogpt_cpu.yaml");
  return {verb, [options] {
            take_config(options->config, options->overrides);
            FOLIO_CHECK(!options->config.empty(), "gradcheck", "no config is given; name one");
            const int64_t off = check_model(*options);
            FOLIO_CHECK(off == 0, "gradcheck",
                        "the gradients of {} parameters are off; look at the backward pass of the "
                        "ops behind them",
                        off);
            return 0;
          }};
}

}  // namespace folio
