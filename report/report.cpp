#include "folio/report/report.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "folio/inspect/reference_band.h"
#include "folio/io/files.h"
#include "folio/io/output.h"
#include "folio/io/version.h"
#include "folio/report/assets.h"
#include "folio/report/data.h"
#include "folio/report/facts.h"
#include "folio/report/html.h"
#include "folio/report/plots.h"
#include "folio/report/svg_plot.h"
#include "folio/run/machine.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

/// The validation loss measured right after `step`, or nothing.
std::string loss_after(const ReportRun& run, int64_t step) {
  for (const MetricsPoint& point : run.metrics.val_loss.points()) {
    if (point.count == 1 && std::llround(point.step) == step) {
      return fmt::format("validation loss {:.3f}", point.mean);
    }
  }
  return "";
}

std::string sample_card(const ReportRun& run, const ReportSample& sample) {
  std::string_view text = sample.text;
  while (text.ends_with('\n')) text.remove_suffix(1);
  const std::string& prompt = run.config.train.sample_prompt;
  const bool prompted =
      prompt.find_first_not_of(" \n") != std::string::npos && text.starts_with(prompt);
  const std::string_view rest = prompted ? text.substr(prompt.size()) : text;
  const std::string name =
      sample.step == 0 ? "before training" : fmt::format("after {}", counted(sample.step, "step"));
  const std::string loss = loss_after(run, sample.step);
  return fmt::format(
      "<article class=\"sample\"><h3>{}</h3>{}<p class=\"text\">{}{}</p></article>\n", name,
      loss.empty() ? "" : fmt::format("<p class=\"measure\">{}</p>", loss),
      prompted ? fmt::format("<span class=\"prompt\">{}</span>", escape_html(prompt)) : "",
      escape_html(rest));
}

std::string span_html(const ReportRun& run) {
  if (!run.span) return "";
  return fmt::format(
      "<p class=\"span\">The longest stretch that the sample of step {} shares, letter by letter, "
      "with the training text has {}: <q>{}</q></p>\n",
      grouped(run.span->sample_step), counted(run.span->characters, "character"),
      escape_html(run.span->text));
}

std::string samples_html(const std::vector<ReportRun>& runs) {
  std::string html;
  for (const ReportRun& run : runs) {
    if (run.samples.empty()) continue;
    html += run_heading(runs, run, "h3");
    html += "<div class=\"samples\">\n";
    for (const ReportSample& sample : run.samples) html += sample_card(run, sample);
    html += "</div>\n" + span_html(run);
  }
  if (html.empty()) return "";
  return "<section aria-labelledby=\"samples\"><h2 id=\"samples\">What it writes</h2>\n" + html +
         "</section>\n";
}

std::string configs_html(const std::vector<ReportRun>& runs) {
  std::string html =
      "<section aria-labelledby=\"config\"><h2 id=\"config\">The whole config</h2>\n";
  for (const ReportRun& run : runs) {
    html += fmt::format(
        "<details{}><summary>{}/config.yaml</summary>\n<pre tabindex=\"0\">{}</pre>"
        "</details>\n",
        runs.size() == 1 ? " open" : "", escape_html(run.name), escape_html(to_yaml(run.config)));
  }
  return html + "</section>\n";
}

/// The page, which is self-contained and readable without scripts, on phones and on paper.
std::string report_page(const std::vector<ReportRun>& runs,
                        const std::vector<ReferenceBand>& references) {
  const std::string title = runs.size() == 1 ? runs.front().name : counted(std::ssize(runs), "run");
  std::string html = page_head(fmt::format("{} \u2013 Folio report", title));
  html += fmt::format(
      "<header><p class=\"kicker\">Folio report</p>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n{}"
      "</header>\n<main>\n",
      escape_html(title), report_introduction(runs), report_headlines(runs));
  html += samples_html(runs);
  html += report_plots(runs, references);
  html +=
      "<section aria-labelledby=\"facts\"><h2 id=\"facts\">What was trained, on what, and "
      "where</h2>\n<div class=\"columns" +
      std::string(runs.size() > 1 ? " stacked" : "") + "\">\n" + report_facts(runs) + "</div>\n" +
      report_notes(runs) + "</section>\n";
  html += configs_html(runs);
  html += fmt::format(
      "</main>\n<footer><p>Made by folio {} from metrics.jsonl. Losses are in nats per token; each "
      "point of a curve stands for neighbouring steps, the band for their range; the time is that "
      "of training steps alone.</p></footer>\n",
      folio_version());
  html += fmt::format("<script type=\"application/json\" id=\"plot-data\">{}</script>\n",
                      report_plot_data(runs, references));
  html += fmt::format("<script>\n{}</script>\n", plot_js);
  return html + "</body></html>\n";
}

}  // namespace

std::filesystem::path write_report(const ReportOptions& options) {
  FOLIO_CHECK(!options.runs.empty(), "report", "no run is given; name at least one");
  const std::vector<ReportRun> runs = read_runs(options.runs);
  std::vector<ReferenceBand> references;
  for (const auto& path : options.references) references.push_back(read_reference(path));
  std::filesystem::path out = options.out;
  if (out.empty()) out = runs.size() == 1 ? options.runs.front() / "report.html" : "report.html";
  FOLIO_CHECK(!std::filesystem::is_directory(out), out.string(),
              "is a directory; name a file with --out");
  replace_durably(out, report_page(runs, references));
  return out;
}

}  // namespace folio
