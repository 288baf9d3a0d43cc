#include "folio/inspect/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
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

void print_plan(const Config& config) {
  const std::unique_ptr<Task> task = make_task(config);
  const std::unique_ptr<Tokenizer> tokenizer = task->open(initial_tokenizer(config));
  const Corpus& corpus = task->corpus();
  const Plan plan = make_plan(config, tokenizer->vocabulary());

  size_t width = 9;
  for (const PlanParameter& row : plan.table) width = std::max(width, row.name.size());
  print(fmt::format("{:<{}}  {:>14}  {:>6}  {:>13}\n", "parameter", width, "shape", "copies",
                    "elements"));
  for (const PlanParameter& row : plan.table) {
    print(fmt::format("{:<{}}  {:>14}  {:>6}  {:>13}\n", row.name, width, row.shape.to_string(),
                      row.copies, grouped(row.copies * row.shape.numel())));
  }
  print(fmt::format("{:<{}}  {:>14}  {:>6}  {:>13}  ({} of them decay)\n\n", "sum", width, "", "",
                    grouped(plan.parameters), grouped(plan.decayed_parameters)));

  for (const PlanLine& line : plan.memory) {
    print(fmt::format("{:<40}  {:>9}\n", line.category,
                      human_bytes(static_cast<double>(line.bytes))));
  }
  print(fmt::format("{:<40}  {:>9}\n{}\n", "memory, when a step needs most",
                    human_bytes(static_cast<double>(plan.memory_bytes())), plan.memory_note));

  const auto tokens = static_cast<double>(plan.tokens_per_step);
  const auto steps = static_cast<double>(config.train.steps);
  const double seen = tokens * steps;
  print(fmt::format("text            {}: {} tokens, {} different\n", corpus.path.string(),
                    grouped(std::ssize(corpus.tokens)), grouped(tokenizer->vocabulary())));
  print(fmt::format("instructions    {}\n", instruction_set().describe()));
  print(fmt::format("a token         {}\n", human_flops(plan.flops_per_token)));
  print(fmt::format("a step          {} ({} tokens: {} x {}{})\n",
                    human_flops(plan.flops_per_token * tokens), grouped(plan.tokens_per_step),
                    config.train.batch, config.model.context(),
                    config.train.accumulate == 1
                        ? ""
                        : fmt::format(", in {} micro-batches", config.train.accumulate)));
  print(fmt::format("{:<15} {} ({} tokens, the training text {:.1f} times)\n",
                    fmt::format("{} steps", grouped(config.train.steps)),
                    human_flops(plan.flops_per_token * seen), grouped(static_cast<int64_t>(seen)),
                    seen / static_cast<double>(corpus.train_tokens)));
}

}  // namespace

Verb add_plan(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "plan", "Prints the parameters, memory and FLOPs of a config, before anything runs");
  auto options = std::make_shared<ConfigOptions>();
  options->add_to(*verb);
  verb->footer("Example: folio plan configs/baby_gpt.yaml --set train.accumulate=4");
  return {verb, [options] { print_plan(options->load()); }};
}

}  // namespace folio
