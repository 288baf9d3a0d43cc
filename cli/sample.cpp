#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "folio/comm/launch.h"
#include "folio/inference/generate.h"
#include "folio/inspect/novelty.h"
#include "folio/io/output.h"
#include "folio/run/loaded_run.h"
#include "folio/tensor/error.h"
#include "folio/train/rank_agreement.h"
#include "verbs.h"

namespace folio {
namespace {

struct Options {
  std::string run, prompt, checkpoint = "last";
  SamplingOptions sampling;
  int64_t samples = 1;
  bool greedy = false, novelty = false, speed = false;
};

/// Prints the samples, each under a heading if there are several. If `shown`, the first was printed
/// already.
void show(const Options& options, const std::vector<std::string>& texts, bool shown,
          std::string_view learned) {
  for (size_t i = 0; i < texts.size(); ++i) {
    if (options.samples > 1) {
      print(fmt::format("--- sample {} of {} ---\n", i + 1, options.samples));
    }
    if (!shown) print(options.prompt + texts[i]);
    print("\n");
    if (!options.novelty) continue;
    const VerbatimSpan span = longest_verbatim_span(learned, texts[i]);
    print(fmt::format("novelty {}\n", describe(span, texts[i])));
  }
}

void sample(Options& options) {
  FOLIO_CHECK(options.sampling.top_k >= 0, "--top-k", "is {}; it must be at least 0 (0 allows all)",
              options.sampling.top_k);
  const bool streams = options.samples == 1;  // as it is written
  if (streams && launch().rank > 0) return;   // nothing to share out
  Communicator& ranks = streams ? single_process() : join_ranks();
  if (!ranks.is_root()) silence_output();
  const auto loaded = load_run(options.run, options.checkpoint);
  if (ranks.size() > 1) apply_config(loaded->config, ranks);
  if (options.greedy) options.sampling.temperature = 0.0;
  loaded->tokenizer->encode(options.prompt, "--prompt");  // fails before anything is printed
  const std::string learned =
      options.novelty ? read_training_text(options.run, loaded->config, *loaded->tokenizer) : "";
  const auto start = std::chrono::steady_clock::now();
  const LanguageModel& model = as_language_model(*loaded->model, "folio sample");
  std::vector<std::string> texts;
  if (streams) {
    print(options.prompt);
    texts = {generate(model, *loaded->tokenizer, options.prompt, options.sampling, print)};
  } else {
    texts = generate_samples(model, *loaded->tokenizer, options.prompt, options.sampling,
                             options.samples, ranks);
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  show(options, texts, streams, learned);
  if (options.speed && ranks.is_root()) {
    const int64_t tokens = options.sampling.max_tokens * options.samples;
    fmt::print(stderr, "speed   {} tokens in {:.3f} s: {:.1f} tokens/s\n", grouped(tokens),
               time.count(), static_cast<double>(tokens) / time.count());
  }
}

}  // namespace

Verb add_sample(CLI::App& program) {
  CLI::App* verb = program.add_subcommand("sample", "Writes text with a trained model");
  auto options = std::make_shared<Options>();
  SamplingOptions& sampling = options->sampling;
  add_run_options(*verb, options->run, options->checkpoint);
  verb->add_option("--prompt", options->prompt, "The text to continue")->type_name("TEXT");
  verb->add_option("--max-tokens", sampling.max_tokens, "The number of tokens to write")
      ->type_name("N")
      ->capture_default_str();
  verb->add_option("--temperature", sampling.temperature,
                   "Lower is more predictable; 0 takes the most likely token")
      ->type_name("X")
      ->capture_default_str();
  verb->add_option("--top-k", sampling.top_k, "Choose among the K most likely tokens; 0: all")
      ->type_name("K")
      ->capture_default_str();
  verb->add_option("--top-p", sampling.top_p,
                   "Choose among the most likely tokens with a total probability of P")
      ->type_name("P")
      ->capture_default_str();
  verb->add_option("--num-samples", options->samples,
                   "The number of texts, which are generated in parallel")
      ->type_name("N")
      ->capture_default_str();
  verb->add_flag("--speed", options->speed, "Print the tokens per second on stderr");
  verb->add_flag("--novelty", options->novelty,
                 "Show the longest span of the output that is in the training text");
  verb->add_flag("--greedy", options->greedy,
                 "Take the most likely token; the same as temperature 0");
  verb->add_option("--seed", sampling.seed, "The seed of the random numbers")
      ->type_name("S")
      ->check(whole_number<uint64_t>(0, UINT64_MAX))
      ->capture_default_str();
  verb->footer("Example: folio sample runs/first --prompt ROMEO: --temperature 0.7 --top-k 20");
  return {verb, [options] { sample(*options); },
          /*on_all_ranks=*/true};
}

}  // namespace folio
