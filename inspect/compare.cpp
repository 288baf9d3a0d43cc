#include "folio/inspect/compare.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "folio/io/output.h"
#include "folio/io/yaml_value.h"
#include "folio/run/config.h"
#include "folio/run/metrics_reader.h"
#include "folio/run/text_identity.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr double error_rate = 0.05;  // over all pairs

/// The keys in which two settings were trained differently. Texts are compared by their hashes.
std::vector<KeyDifference> compared_differences(const Setting& a, const Setting& b) {
  std::vector<KeyDifference> found = differences(a.config, b.config);
  std::erase_if(found, [](const KeyDifference& difference) { return !difference.compared; });
  if (a.text_hash != b.text_hash) {
    found.insert(found.begin(), {.key = "data.text",
                                 .a = write_string(a.config.data.text),
                                 .b = write_string(b.config.data.text)});
  }
  return found;
}

/// "A", "B", ..., "Z", "AA", ...
std::string letter(size_t index) {
  const auto last = static_cast<char>('A' + index % 26);
  return (index < 26 ? "" : letter(index / 26 - 1)) + last;
}

Setting read_setting(const fs::path& run) {
  const fs::path config = run / "config.yaml", metrics_file = run / "metrics.jsonl";
  FOLIO_CHECK(fs::is_regular_file(config) && fs::is_regular_file(metrics_file), run.string(),
              "this is not a run that was trained: it lacks config.yaml or metrics.jsonl; name the "
              "--run of a folio train");
  Setting setting;
  setting.config = load_config(config);
  setting.text_hash = read_text_identity(run).hash;
  const Config& c = setting.config;
  const Metrics metrics = read_metrics(metrics_file, c.train.batch * c.model.context());
  FOLIO_CHECK(metrics.last_step >= c.train.steps, run.string(),
              "the run has done {} of {} steps; finish it (folio train --resume --run {}) or leave "
              "it out",
              grouped(metrics.last_step), grouped(c.train.steps), run.string());
  FOLIO_CHECK(metrics.val_loss.last_step() >= c.train.steps, run.string(),
              "there is no validation loss after the last step, {}; train with train.eval_every "
              "above 0",
              grouped(c.train.steps));
  setting.runs = {run.string()};
  setting.seeds = {c.train.seed};
  setting.losses = {metrics.val_loss.last_value()};
  return setting;
}

std::string verdict(const Setting& a, const Setting& b, const std::string& name_a,
                    const std::string& name_b, size_t pairs) {
  std::string text = fmt::format("{} and {} differ in", name_a, name_b);
  const char* separator = " ";
  for (const KeyDifference& difference : compared_differences(a, b)) {
    text += fmt::format("{}{} ({} | {})", separator, difference.key, difference.a, difference.b);
    separator = ", ";
  }
  text += ".\n";
  if (a.config.train.eval_batches != b.config.train.eval_batches) {
    return text +
           "  Their losses are measured on different parts of the split: compare runs with "
           "the same train.eval_batches.\n";
  }
  const SampleStatistics sa = statistics_of(a.losses), sb = statistics_of(b.losses);
  if (sa.count < 2 || sb.count < 2) {
    return text + fmt::format(
                      "  {} - {} is {:+.4f}. This cannot be tested: {} has a single "
                      "run. Train more seeds of it (three to five).\n",
                      name_b, name_a, sb.mean - sa.mean, sa.count < 2 ? name_a : name_b);
  }
  const double confidence = 1.0 - error_rate / static_cast<double>(pairs);
  const WelchTest test = welch_test(sa, sb, confidence);
  text += fmt::format(
      "  {} - {} is {:+.4f}, between {:+.4f} and {:+.4f} with {:.4g}% confidence "
      "(Welch's t {:.2f}, {:.1f} degrees of freedom, p {:.2g}): ",
      name_b, name_a, test.difference, test.low, test.high, 100.0 * confidence, test.t,
      test.degrees, test.p);
  if (test.p < 1.0 - confidence) {
    text += fmt::format("{} is better, by more than the seeds explain.\n",
                        test.difference < 0.0 ? name_b : name_a);
  } else {
    text += "the difference is within the spread of the seeds.\n";
  }
  if (std::min(sa.count, sb.count) < 3) {
    text += "  Two runs of a setting are too few to estimate its spread: train more seeds.\n";
  }
  return text;
}

}  // namespace

std::vector<Setting> read_settings(const std::vector<fs::path>& runs) {
  std::vector<Setting> settings;
  for (const fs::path& run : runs) {
    Setting read = read_setting(run);
    const auto same = std::ranges::find_if(settings, [&](const Setting& setting) {
      return compared_differences(setting, read).empty();
    });
    if (same == settings.end()) {
      settings.push_back(std::move(read));
      continue;
    }
    const auto twin = std::ranges::find(same->seeds, read.seeds.front());
    FOLIO_CHECK(twin == same->seeds.end(), run.string(),
                "has the config and the seed, {}, of {}: the same run twice says nothing new; "
                "leave one out",
                read.seeds.front(), same->runs[static_cast<size_t>(twin - same->seeds.begin())]);
    same->runs.push_back(read.runs.front());
    same->seeds.push_back(read.seeds.front());
    same->losses.push_back(read.losses.front());
  }
  return settings;
}

std::string comparison(const std::vector<Setting>& settings) {
  std::string text = fmt::format("{:<8} {:>5}  {:>15}  {:>9}  {}\n", "setting", "runs",
                                 "validation loss", "deviation", "seeds");
  for (size_t i = 0; i < settings.size(); ++i) {
    const SampleStatistics s = statistics_of(settings[i].losses);
    text += fmt::format("{:<8} {:>5}  {:>15.4f}  {:>9}  {}\n", letter(i), s.count, s.mean,
                        s.count < 2 ? "-" : fmt::format("{:.4f}", s.deviation),
                        fmt::join(settings[i].seeds, ", "));
  }
  for (size_t i = 0; i < settings.size(); ++i) {
    text += fmt::format("{}: {}\n", letter(i), settings[i].runs.front());
  }
  if (settings.size() == 1) {
    return text + "There is one setting: nothing to compare it with.\n";
  }
  const size_t pairs = settings.size() * (settings.size() - 1) / 2;
  text += "\n";
  for (size_t i = 0; i < settings.size(); ++i) {
    for (size_t j = i + 1; j < settings.size(); ++j) {
      text += verdict(settings[i], settings[j], letter(i), letter(j), pairs);
    }
  }
  if (pairs > 1) {
    text += fmt::format(
        "Each of the {} pairs is tested at {:.2g} (Bonferroni), so that the error rate of all "
        "together is at most 0.05.\n",
        pairs, error_rate / static_cast<double>(pairs));
  }
  return text;
}

}  // namespace folio
