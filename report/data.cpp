#include "folio/report/data.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>

#include "folio/inspect/novelty.h"
#include "folio/io/files.h"
#include "folio/io/numbered_names.h"
#include "folio/io/utf8.h"
#include "folio/run/checkpoint.h"
#include "folio/run/initial_weights.h"
#include "folio/run/machine.h"
#include "folio/run/run_checkpoints.h"
#include "folio/run/run_directory.h"
#include "folio/run/text_identity.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t most_sample_bytes = 1 << 20;
constexpr int64_t most_read_tokens = 100'000'000;  // longer texts are not searched

/// Selects the first and the last step and logarithmically spaced steps between them, since samples
/// change most at the beginning.
std::vector<int64_t> chosen_steps(const std::set<int64_t>& steps) {
  std::vector<int64_t> all(steps.begin(), steps.end());
  if (all.size() <= most_samples) return all;
  std::set<int64_t> chosen = {all.front(), all.back()};
  const double low = std::log(static_cast<double>(all[1])), high = std::log(double(all.back()));
  for (size_t i = 0; i + 1 < most_samples; ++i) {
    const double wanted = low + (high - low) * static_cast<double>(i) / (most_samples - 2);
    chosen.insert(*std::min_element(all.begin() + 1, all.end(), [wanted](int64_t a, int64_t b) {
      return std::abs(std::log(double(a)) - wanted) < std::abs(std::log(double(b)) - wanted);
    }));
  }
  return {chosen.begin(), chosen.end()};
}

void read_samples(ReportRun& run) {
  std::set<int64_t> steps;
  std::error_code error;
  for (fs::directory_iterator entry(run.directory / "samples", error), end; !error && entry != end;
       entry.increment(error)) {
    const auto step = parse_step_name(entry->path().filename().string(), ".txt");
    if (step) steps.insert(*step);
  }
  for (const int64_t step : chosen_steps(steps)) {
    const fs::path path = run.directory / "samples" / (step_name(step) + ".txt");
    run.samples.push_back({step, read_file(path, most_sample_bytes)});
  }
  run.samples_left_out = std::ssize(steps) - std::ssize(run.samples);
}

/// Finds the longest span of the last sample, without its prompt, that is in the training text.
void find_span(ReportRun& run, std::string_view training_text) {
  const ReportSample& last = run.samples.back();
  std::string_view written = last.text;
  if (written.starts_with(run.config.train.sample_prompt)) {
    written.remove_prefix(run.config.train.sample_prompt.size());
  }
  if (written.ends_with('\n')) written.remove_suffix(1);  // added by the file
  const VerbatimSpan span = longest_verbatim_span(training_text, written);
  if (span.length == 0) return;
  const std::string text(written.substr(span.sample_offset, span.length));
  run.span = ReportSpan{last.step, count_characters(text), text};
}

/// Reads the tokenizer of the newest undamaged checkpoint and the text. A failure is described in
/// why_unknown.
void read_text(ReportRun& run) {
  try {
    if (fs::exists(run.directory / "text.json")) {
      const TextIdentity recorded = read_text_identity(run.directory);
      run.text.path = recorded.path.string();
      run.text.bytes = recorded.bytes;
      run.text.hash = recorded.hash;
    }
    const fs::path checkpoint = find_resume_point(run.directory).checkpoint;
    std::unique_ptr<Tokenizer> tokenizer;
    if (!checkpoint.empty()) {
      tokenizer = load_tokenizer(checkpoint);
      run.vocabulary = tokenizer->vocabulary();
    }
    Config config = run.config;
    config.data.text = find_run_text(run.directory, config).path.string();
    const std::unique_ptr<Task> task = make_task(config);
    tokenizer = task->open(std::move(tokenizer));
    run.vocabulary = tokenizer->vocabulary();
    const Corpus& corpus = task->corpus();
    run.text.tokens = std::ssize(corpus.tokens);
    run.text.train_tokens = corpus.train_tokens;
    if (run.text.tokens > most_read_tokens) return;
    run.text.characters = count_characters(text_of(*tokenizer, corpus.tokens));
    if (!run.samples.empty()) find_span(run, text_of(*tokenizer, corpus.train()));
  } catch (const Error& error) {
    run.text.why_unknown = error.what();
  }
}

ReportRun read_run(const fs::path& directory) {
  require_run(directory);
  const fs::path metrics = directory / "metrics.jsonl";
  FOLIO_CHECK(fs::is_regular_file(metrics), directory.string(),
              "the run has no metrics.jsonl to report; train it first (folio train)");
  const Config config = load_config(directory / "config.yaml");
  ReportRun run{.directory = directory,
                .name = fs::absolute(directory / "").lexically_normal().parent_path().filename(),
                .config = config,
                .vocabulary = 0,
                .plan = {},
                .metrics = read_metrics(metrics, config.train.batch * config.model.context()),
                .samples = {},
                .samples_left_out = 0,
                .text = {},
                .machine = read_machine(directory),
                .span = {}};
  read_samples(run);
  read_text(run);
  if (run.vocabulary > 0) run.plan = make_plan(run.config, run.vocabulary);
  return run;
}

}  // namespace

std::vector<ReportRun> read_runs(const std::vector<fs::path>& directories) {
  std::vector<ReportRun> runs;
  for (const fs::path& directory : directories) runs.push_back(read_run(directory));
  std::map<std::string, int> uses;
  for (const ReportRun& run : runs) ++uses[run.name];
  for (ReportRun& run : runs) {  // runs of the same name are distinguished by their paths
    if (uses[run.name] > 1) run.name = run.directory.string();
  }
  return runs;
}

}  // namespace folio
