#include "folio/report/facts.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <map>
#include <utility>

#include "folio/inspect/blackbox_bundle.h"
#include "folio/inspect/plan.h"
#include "folio/io/output.h"
#include "folio/report/html.h"
#include "folio/report/svg_plot.h"
#include "folio/run/config.h"
#include "folio/run/final_evaluation.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

using Facts = std::vector<std::pair<std::string, std::string>>;  // label and value, plain text

std::string decimals(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "not known";
}

/// The median over the points of the series, which ignores a slow first step.
double median(const MetricsSeries& series) {
  std::vector<double> values;
  for (const MetricsPoint& point : series.points()) values.push_back(point.mean);
  if (values.empty()) return MetricsLine::missing;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

Facts model_facts(const ReportRun& run) {
  Facts facts;
  Config config = run.config;
  for (const Section& section : sections_of(config)) {
    if (section.name() != "model") continue;
    for (const Field& field : section.fields()) facts.emplace_back(field.key, field.write());
  }
  if (!run.plan) return facts;
  facts.emplace_back("parameters", grouped(run.plan->parameters));
  facts.emplace_back("of them decayed", grouped(run.plan->decayed_parameters));
  facts.emplace_back("arithmetic a token", human_flops(run.plan->flops_per_token));
  return facts;
}

Facts memory_facts(const ReportRun& run) {
  Facts facts;
  if (!run.plan) return facts;
  for (const PlanLine& line : run.plan->memory) {
    facts.emplace_back(line.category, human_bytes(static_cast<double>(line.bytes)));
  }
  facts.emplace_back("when a step needs most",
                     human_bytes(static_cast<double>(run.plan->memory_bytes())));
  return facts;
}

Facts data_facts(const ReportRun& run) {
  const ReportText& text = run.text;
  Facts facts = {{"text", fs::path(text.path).filename().string()},
                 {"bytes", text.bytes > 0 ? grouped(text.bytes) : "not known"}};
  if (text.characters > 0) facts.emplace_back("characters", grouped(text.characters));
  facts.emplace_back("tokenizer", run.config.data.tokenizer);
  if (run.vocabulary > 0) {
    facts.emplace_back("vocabulary", grouped(run.vocabulary));
    facts.emplace_back("loss of a guess among all, ln V",
                       decimals(std::log(static_cast<double>(run.vocabulary)), 4));
  }
  if (text.tokens > 0) {
    facts.emplace_back("tokens to train on", grouped(text.train_tokens));
    facts.emplace_back("tokens to validate on", grouped(text.tokens - text.train_tokens));
  }
  facts.emplace_back("hash (FNV-1a)", text.hash.empty() ? "not known" : text.hash);
  return facts;
}

Facts training_facts(const ReportRun& run) {
  const int64_t tokens = run.tokens_per_step() * run.metrics.last_step;
  Facts facts = {{"steps", fmt::format("{} of {}", grouped(run.metrics.last_step),
                                       grouped(run.config.train.steps))},
                 {"tokens a step", fmt::format("{} ({} \u00d7 {})", grouped(run.tokens_per_step()),
                                               run.config.train.batch, run.config.model.context())},
                 {"tokens seen", grouped(tokens)}};
  if (run.text.train_tokens > 0) {
    facts.emplace_back(
        "times through the text",
        decimals(static_cast<double>(tokens) / static_cast<double>(run.text.train_tokens), 1));
  }
  if (run.plan) {
    facts.emplace_back("arithmetic in all",
                       human_flops(run.plan->flops_per_token * static_cast<double>(tokens)));
  }
  facts.emplace_back("training time", human_seconds(run.metrics.seconds));
  const double speed = median(run.metrics.tokens_per_second);
  if (std::isfinite(speed)) {
    facts.emplace_back("tokens a second (median)", grouped(std::llround(speed)));
  }
  const auto bundle = latest_bundle(run.directory);
  if (bundle && bundle->first > run.metrics.last_step) {
    facts.emplace_back("ended by",
                       fmt::format("a step that was not finite, {}: see blackbox/step_{}, and "
                                   "folio replay",
                                   grouped(bundle->first), bundle->first));
  }
  facts.emplace_back("last training loss", decimals(run.metrics.train_loss.last_value(), 4));
  if (!run.metrics.val_loss.empty()) {
    facts.emplace_back("last validation loss", decimals(run.metrics.val_loss.last_value(), 4));
    facts.emplace_back("best validation loss",
                       fmt::format("{:.4f}, step {}", run.metrics.val_loss.best_value(),
                                   grouped(run.metrics.val_loss.best_step())));
    if (const auto final = read_final_evaluation(run.directory)) {
      facts.emplace_back("over the whole split",
                         fmt::format("{:.4f}, step {}", final->loss, grouped(final->step)));
      if (final->bits_per_byte) {
        facts.emplace_back("the same in bits a byte", decimals(*final->bits_per_byte, 4));
      }
      if (final->best_loss) {
        facts.emplace_back(
            "the best checkpoint over it",
            fmt::format("{:.4f}, step {}", *final->best_loss, grouped(*final->best_step)));
      }
    }
    const int64_t batches = run.config.train.eval_batches;
    facts.emplace_back("validation reads",
                       batches == 0 ? "the whole split" : counted(batches, "batch"));
  }
  return facts;
}

std::string fact_table(const std::vector<ReportRun>& runs, const std::string& title,
                       Facts (*facts_of)(const ReportRun&)) {
  std::vector<std::string> labels;
  std::vector<std::map<std::string, std::string>> columns;
  for (const ReportRun& run : runs) {
    columns.emplace_back();
    for (auto& [label, value] : facts_of(run)) {
      if (std::ranges::find(labels, label) == labels.end()) labels.push_back(label);
      columns.back()[label] = value;
    }
  }
  if (labels.empty()) return "";
  std::string html = fmt::format(
      "<div class=\"facts\"><h3>{}</h3><div class=\"scroll\" tabindex=\"0\" role=\"region\" "
      "aria-label=\"{}\"><table>\n",
      title, title);
  if (runs.size() > 1) {
    html += "<thead><tr><td></td>";
    for (const ReportRun& run : runs) {
      html += fmt::format("<th scope=\"col\">{}</th>", escape_html(run.name));
    }
    html += "</tr></thead>\n";
  }
  html += "<tbody>\n";
  for (const std::string& label : labels) {
    const bool differs = std::ranges::any_of(
        columns, [&](auto& column) { return column[label] != columns.front()[label]; });
    html += fmt::format("<tr{}><th scope=\"row\">{}</th>", differs ? " class=\"differs\"" : "",
                        escape_html(label));
    for (auto& column : columns) {
      const std::string& value = column[label];
      const bool number =
          value.size() <= 11 && value.find_first_not_of("0123456789,.") == std::string::npos;
      html += fmt::format("<td{}>{}</td>", number ? " class=\"number\"" : "", escape_html(value));
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div></div>\n";
}

}  // namespace

std::string counted(int64_t number, std::string_view singular) {
  const bool hissing = singular.ends_with("ch") || singular.ends_with("s");
  return fmt::format("{} {}{}", grouped(number), singular, number == 1 ? "" : hissing ? "es" : "s");
}

std::string run_heading(const std::vector<ReportRun>& runs, const ReportRun& run,
                        std::string_view element) {
  if (runs.size() == 1) return "";
  return fmt::format("<{0} class=\"run\"><span class=\"swatch color{1}\"></span>{2}</{0}>\n",
                     element, (&run - runs.data()) % plot_colors, escape_html(run.name));
}

std::string report_headlines(const std::vector<ReportRun>& runs) {
  std::string html;
  for (const ReportRun& run : runs) {
    Facts shown;
    const MetricsSeries& validation = run.metrics.val_loss;
    if (!validation.empty()) {
      shown.emplace_back("validation loss", decimals(validation.last_value(), 3));
      shown.emplace_back("perplexity a token", decimals(std::exp(validation.last_value()), 2));
    } else if (!run.metrics.train_loss.empty()) {
      shown.emplace_back("training loss", decimals(run.metrics.train_loss.last_value(), 3));
    }
    shown.emplace_back("steps", grouped(run.metrics.last_step));
    if (run.plan) shown.emplace_back("parameters", grouped(run.plan->parameters));
    shown.emplace_back("training time", human_seconds(run.metrics.seconds));
    const double speed = median(run.metrics.tokens_per_second);
    if (std::isfinite(speed)) shown.emplace_back("tokens a second", grouped(std::llround(speed)));
    html += run_heading(runs, run, "h2");
    html += "<dl class=\"headlines\">\n";
    for (const auto& [label, value] : shown) {
      html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", label, escape_html(value));
    }
    html += "</dl>\n";
  }
  return html;
}

std::string report_introduction(const std::vector<ReportRun>& runs) {
  const ReportRun& run = runs.front();
  if (runs.size() > 1) {
    std::vector<std::string> names;
    for (const ReportRun& each : runs) names.push_back(escape_html(each.name));
    return fmt::format("{} side by side: {}.", counted(std::ssize(runs), "run"),
                       fmt::join(names, ", "));
  }
  return fmt::format(
      "A model ({}: {}) after {} on <em>{}</em>.", run.config.model.family.name(),
      run.config.model.family->summary(), counted(run.metrics.last_step, "step"),
      escape_html(fs::path(run.text.path.empty() ? run.config.data.text : run.text.path)
                      .filename()
                      .string()));
}

std::string report_facts(const std::vector<ReportRun>& runs) {
  return fact_table(runs, "Training", training_facts) + fact_table(runs, "Model", model_facts) +
         fact_table(runs, "Data", data_facts) +
         fact_table(runs, "Memory, as planned", memory_facts) +
         fact_table(runs, "Version and machine", [](const ReportRun& run) { return run.machine; });
}

std::string report_notes(const std::vector<ReportRun>& runs) {
  std::string html;
  const auto note = [&](const ReportRun& run, const std::string& text) {
    html += fmt::format("<li>{}{}</li>\n",
                        runs.size() > 1 ? escape_html(run.name) + ": " : std::string(), text);
  };
  for (const ReportRun& run : runs) {
    if (run.metrics.unreadable > 0) {
      note(run, fmt::format("{} of metrics.jsonl could not be read (torn by a crash?) and {} left "
                            "out.",
                            counted(run.metrics.unreadable, "line"),
                            run.metrics.unreadable == 1 ? "is" : "are"));
    }
    if (run.metrics.nulls > 0) {
      note(run, fmt::format("{} not finite and {} left out.",
                            run.metrics.nulls == 1 ? "One value is"
                                                   : grouped(run.metrics.nulls) + " values are",
                            run.metrics.nulls == 1 ? "is" : "are"));
    }
    if (!run.text.why_unknown.empty()) {
      note(run, "The text could not be looked at: " + escape_html(run.text.why_unknown));
    }
    if (run.machine.empty()) note(run, "It is not recorded on which machine the run was made.");
    if (run.samples_left_out > 0) {
      note(run, fmt::format("{} between those shown {} left out.",
                            counted(run.samples_left_out, "sample"),
                            run.samples_left_out == 1 ? "is" : "are"));
    }
  }
  return html.empty() ? html : "<ul class=\"notes\">\n" + html + "</ul>\n";
}

}  // namespace folio
