#include "folio/report/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "folio/io/output.h"
#include "folio/report/html.h"
#include "folio/report/svg_plot.h"

namespace folio {
namespace {

/// A curve of a plot with all its x values.
struct Curve {
  std::string name;
  int color = 0;
  PlotStyle style = PlotStyle::line;
  bool has_times = true;
  double tokens_per_step = 0.0;
  std::vector<MetricsPoint> points;
};

struct ReportPlot {
  std::string key, title, y_label;
  bool may_be_log = false;
  bool large = false;  // drawn in two sizes, for screens and for phones
  std::vector<Curve> curves;
};

struct Axis {
  std::string_view key, label;
  double (*of)(const Curve&, const MetricsPoint&);
};

const std::array<Axis, 3> axes = {
    {{"step", "step", [](const Curve&, const MetricsPoint& point) { return point.step; }},
     {"tokens", "tokens",
      [](const Curve& curve, const MetricsPoint& point) {
        return point.step * curve.tokens_per_step;
      }},
     {"time", "training time",
      [](const Curve&, const MetricsPoint& point) { return point.seconds; }}}};

std::vector<ReportPlot> plots_of(const std::vector<ReportRun>& runs,
                                 const std::vector<ReferenceBand>& references) {
  ReportPlot loss{"loss", "Loss", "loss, nats per token", true, true, {}};
  ReportPlot lr{"lr", "Learning rate", "learning rate", false, false, {}};
  ReportPlot norm{"grad_norm", "Gradient norm", "norm of the whole gradient", true, false, {}};
  ReportPlot speed{"speed", "Speed", "tokens per second", false, false, {}};
  int color = 0;
  const bool one = runs.size() == 1 && references.empty();
  const auto add = [&](ReportPlot& plot, const ReportRun& run, std::string name, PlotStyle style,
                       const MetricsSeries& series) {
    if (series.empty()) return;
    plot.curves.push_back({std::move(name), color, style, true,
                           static_cast<double>(run.tokens_per_step()), series.points()});
  };
  for (const ReportRun& run : runs) {
    const auto named = [&](std::string_view what) {
      return one ? std::string(what) : fmt::format("{}, {}", run.name, what);
    };
    const std::string plain = one ? "" : run.name;
    add(loss, run, named("train"), PlotStyle::faint, run.metrics.train_loss);
    add(loss, run, named("validation"), PlotStyle::dots, run.metrics.val_loss);
    add(lr, run, plain, PlotStyle::line, run.metrics.lr);
    add(norm, run, plain, PlotStyle::faint, run.metrics.grad_norm);
    add(speed, run, plain, PlotStyle::faint, run.metrics.tokens_per_second);
    ++color;
  }
  for (const ReferenceBand& band : references) {
    Curve curve{fmt::format("{}, {} seeds", band.name, band.seeds), color++, PlotStyle::band, false,
                static_cast<double>(band.tokens_per_step),          {}};
    for (const ReferencePoint& point : band.points) {
      curve.points.push_back({.step = static_cast<double>(point.step),
                              .seconds = MetricsLine::missing,
                              .mean = point.mean,
                              .low = point.mean - point.deviation,
                              .high = point.mean + point.deviation,
                              .count = band.seeds});
    }
    loss.curves.push_back(std::move(curve));
  }
  std::vector<ReportPlot> plots = {std::move(loss), std::move(lr), std::move(norm),
                                   std::move(speed)};
  std::erase_if(plots, [](const ReportPlot& plot) { return plot.curves.empty(); });
  return plots;
}

std::string value_text(double value) {
  if (value == 0.0) return "0";
  return std::abs(value) >= 1000.0 ? grouped(std::llround(value)) : fmt::format("{:.4g}", value);
}

std::string described(const ReportPlot& plot) {
  std::string text;
  for (const Curve& curve : plot.curves) {
    const MetricsPoint& first = curve.points.front();
    const MetricsPoint& last = curve.points.back();
    text += fmt::format("{}{} {} at step {} to {} at step {}.", text.empty() ? "" : " ",
                        curve.name.empty() ? "From" : curve.name + ": from", value_text(first.mean),
                        grouped(std::llround(first.step)), value_text(last.mean),
                        grouped(std::llround(last.step)));
  }
  return text;
}

std::string figure(const ReportPlot& plot, const Axis& axis, size_t axis_index, bool log_y,
                   std::string_view size) {
  PlotOptions options;
  options.id = fmt::format("{}-{}-{}{}{}", plot.key, axis.key, log_y ? "log" : "linear",
                           size.empty() ? "" : "-", size);
  options.title = fmt::format("{} by {}", plot.title, axis.label);
  options.description = described(plot);
  options.x_label = axis.label;
  options.y_label = plot.y_label;
  options.x_axis = axis.key == "time" ? PlotAxis::seconds : PlotAxis::number;
  options.log_y = log_y;
  if (size == "wide") {
    options.width = 960;
    options.height = 430;
  } else if (size == "narrow") {
    options.height = 340;
  }
  std::vector<PlotSeries> series;
  for (const Curve& curve : plot.curves) {
    if (axis.key == "time" && !curve.has_times) continue;
    PlotSeries drawn{curve.name, curve.color, curve.style, {}};
    for (const MetricsPoint& point : curve.points) {
      drawn.points.push_back({axis.of(curve, point), point.mean, point.low, point.high});
    }
    series.push_back(std::move(drawn));
  }
  const std::string svg = svg_plot(options, series);
  const std::string scales = !plot.may_be_log ? "linear log" : log_y ? "log" : "linear";
  return fmt::format(
      "<div class=\"variant {} {} {}\" data-plot=\"{}\" data-axis=\"{}\">\n{}"
      "<a class=\"save\" download=\"{}.svg\" href=\"{}\">Save this plot<span class=\"unseen\">, {} "
      "by {}</span> (SVG)</a></div>\n",
      axis.key, scales, size, plot.key, axis_index, svg, options.id, svg_data_uri(svg_file(svg)),
      plot.title, axis.label);
}

/// Rows at steps of the curve with the fewest points, so that most rows are complete.
std::string table(const ReportPlot& plot) {
  constexpr size_t most_rows = 16;
  const Curve& guide = *std::ranges::min_element(
      plot.curves, {}, [](const Curve& curve) { return curve.points.size(); });
  std::set<double> steps;
  const size_t rows = std::min(most_rows, guide.points.size());
  for (size_t i = 0; i < rows; ++i) {
    const size_t at = rows == 1 ? 0 : i * (guide.points.size() - 1) / (rows - 1);
    steps.insert(guide.points[at].step);
  }
  std::string html = fmt::format(
      "<details class=\"numbers\"><summary>{} in numbers</summary>\n<div class=\"scroll\" "
      "tabindex=\"0\" role=\"region\" aria-label=\"{} in numbers\"><table><thead><tr>"
      "<th scope=\"col\">step</th>",
      plot.title, plot.title);
  for (const Curve& curve : plot.curves) {
    html += fmt::format("<th scope=\"col\">{}</th>",
                        escape_html(curve.name.empty() ? plot.y_label : curve.name));
  }
  html += "</tr></thead><tbody>\n";
  for (const double step : steps) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", grouped(std::llround(step)));
    for (const Curve& curve : plot.curves) {
      const MetricsPoint& nearest = *std::ranges::min_element(
          curve.points, {}, [step](const MetricsPoint& p) { return std::abs(p.step - step); });
      const bool far = step > curve.points.back().step * 1.05 + 1.0;
      html += fmt::format("<td>{}</td>", far ? "" : value_text(nearest.mean));
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div></details>\n";
}

std::string radio(std::string_view name, std::string_view key, std::string_view label,
                  bool checked) {
  return fmt::format(
      "<input type=\"radio\" name=\"{0}\" id=\"{0}-{1}\"{3}><label "
      "for=\"{0}-{1}\">{2}</label>",
      name, key, label, checked ? " checked" : "");
}

/// Six significant digits are more than a plot can show.
double rounded(double value) {
  return std::isfinite(value) ? std::stod(fmt::format("{:.6g}", value)) : value;
}

}  // namespace

std::string report_plots(const std::vector<ReportRun>& runs,
                         const std::vector<ReferenceBand>& references) {
  const std::vector<ReportPlot> plots = plots_of(runs, references);
  std::string html =
      "<section class=\"curves\" aria-labelledby=\"curves\">\n<h2 id=\"curves\">The "
      "curves</h2>\n";
  if (plots.empty()) return html + "<p>The run has no values yet.</p></section>\n";
  html += "<div class=\"switches\"><fieldset><legend>Across</legend>" +
          radio("x", "step", "steps", true) + radio("x", "tokens", "tokens", false) +
          radio("x", "time", "time", false) +
          "</fieldset>\n<fieldset><legend>Loss and norm</legend>" +
          radio("y", "linear", "linear", true) + radio("y", "log", "log", false) +
          "</fieldset></div>\n<div class=\"plots\">\n";
  for (const ReportPlot& plot : plots) {
    html += fmt::format("<figure class=\"{}\"><figcaption>{}</figcaption>\n",
                        plot.large ? "large" : "small", plot.title);
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      for (const bool log_y : {false, true}) {
        if (log_y && !plot.may_be_log) continue;
        for (const char* size : plot.large ? std::vector{"wide", "narrow"} : std::vector{""}) {
          html += figure(plot, axes[axis], axis, log_y, size);
        }
      }
    }
    html += table(plot) + "</figure>\n";
  }
  return html + "</div></section>\n";
}

std::string report_plot_data(const std::vector<ReportRun>& runs,
                             const std::vector<ReferenceBand>& references) {
  using Json = nlohmann::ordered_json;
  Json data = Json::object();
  for (const ReportPlot& plot : plots_of(runs, references)) {
    Json& curves = data[plot.key] = Json::array();
    for (const Curve& curve : plot.curves) {
      Json points = Json::array();
      for (const MetricsPoint& point : curve.points) {
        Json row = Json::array();
        for (const Axis& axis : axes) row.push_back(rounded(axis.of(curve, point)));
        row.push_back(rounded(point.mean));
        points.push_back(std::move(row));
      }
      curves.push_back({{"name", curve.name.empty() ? plot.y_label : curve.name},
                        {"color", curve.color % plot_colors},
                        {"points", std::move(points)}});
    }
  }
  std::string text = data.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (size_t at = 0; (at = text.find('<', at)) != std::string::npos;) {
    text.replace(at, 1, "\\u003c");  // so that no text can end the element
  }
  return text;
}

}  // namespace folio
