#include "folio/report/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "folio/io/output.h"
#include "folio/io/utf8.h"
#include "folio/report/assets.h"
#include "folio/report/html.h"

namespace folio {
namespace {

constexpr double character_width = 6.7, legend_row = 21.0;  // at the font size of plot.css

/// Maps a value to a coordinate.
struct Scale {
  double low = 0.0, high = 1.0, from = 0.0, to = 1.0;
  bool log = false;
  double operator()(double value) const {
    const double part = log ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low))
                            : (value - low) / (high - low);
    return from + part * (to - from);
  }
};

/// Whether a number can be drawn. Differences of larger numbers could overflow.
bool fits(double value) { return std::abs(value) < 1e300; }

bool usable(const PlotPoint& point, bool log_y) {
  return fits(point.x) && fits(point.y) && (!log_y || point.y > 1e-300);
}

std::string count_label(double value) {
  const double size = std::abs(value);
  if (size >= 1e13) return fmt::format("{:.3g}", value);
  if (size >= 1e9) return fmt::format("{:g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (size >= 1000.0) return grouped(std::llround(value));
  if (size != 0.0 && size < 1e-4) {
    const double exponent = std::floor(std::log10(size) + 1e-9);
    return fmt::format("{:g}e{:.0f}", value / std::pow(10.0, exponent), exponent);
  }
  return fmt::format("{:.4g}", value);
}

std::string time_label(double seconds) {
  if (seconds == 0.0) return "0";
  if (seconds < 60.0) return fmt::format("{:g} s", seconds);
  if (seconds < 3600.0) return fmt::format("{:g} min", seconds / 60.0);
  return fmt::format("{:g} h", seconds / 3600.0);
}

/// A name of at most `most` bytes: the middle is replaced by an ellipsis.
std::string shortened(std::string_view name, size_t most) {
  if (name.size() <= most) return std::string(name);
  const size_t head = character_start(name, most / 2);
  size_t tail = name.size() - (most - most / 2 - 1);
  while (tail < name.size() && is_continuation(name[tail])) ++tail;
  return fmt::format("{}\u2026{}", name.substr(0, head), name.substr(tail));
}

const char* class_of(PlotStyle style) {
  return style == PlotStyle::faint ? "faint" : style == PlotStyle::band ? "reference" : "line";
}

class Plot {
 public:
  Plot(const PlotOptions& options, const std::vector<PlotSeries>& series)
      : options_(options), series_(series) {}
  std::string draw();

 private:
  void set_scales();
  std::string legend();
  void draw_axes();
  void draw_series(const PlotSeries& series);
  void path(std::string_view classes, const std::vector<std::pair<double, double>>& points,
            bool closed);
  template <class... Arguments>
  void put(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(svg_), format, std::forward<Arguments>(arguments)...);
  }

  const PlotOptions& options_;
  const std::vector<PlotSeries>& series_;
  Scale x_, y_;
  std::vector<double> x_ticks_, y_ticks_;
  bool empty_ = true;
  double top_ = 26.0;  // where the axes begin
  double height_ = 0.0;
  std::string svg_;
};

void Plot::set_scales() {
  double x_low = 0.0, x_high = 0.0, y_low = 0.0, y_high = 0.0;
  for (const PlotSeries& series : series_) {
    for (const PlotPoint& point : series.points) {
      if (!usable(point, options_.log_y)) continue;
      if (empty_) {
        y_low = y_high = point.y;
        x_low = x_high = point.x;
        empty_ = false;
      }
      x_low = std::min(x_low, point.x);
      x_high = std::max(x_high, point.x);
      y_low = std::min(y_low, point.y);
      y_high = std::max(y_high, point.y);
    }
  }
  x_low = std::min(x_low, 0.0);
  if (!(x_high > x_low)) x_high = x_low + 1.0;
  if (!options_.log_y && y_low > 0.0 && y_low < 0.2 * y_high) y_low = 0.0;
  const double room = y_high > y_low ? 0.05 : 0.5;
  if (options_.log_y) {
    if (empty_) y_low = y_high = 1.0;
    const double low = std::log(y_low), high = std::log(y_high);
    const double margin = high > low ? room * (high - low) : 0.4;
    y_low = std::exp(std::max(low - margin, -700.0));
    y_high = std::exp(std::min(high + margin, 700.0));
  } else {
    const double margin =
        y_high > y_low ? room * (y_high - y_low) : std::max(0.1 * std::abs(y_high), 1e-12);
    const bool from_zero = y_low == 0.0;
    y_low -= from_zero ? 0.0 : margin;
    y_high += margin;
  }
  const int x_wanted = options_.width < 500 ? 4 : 7;
  y_ticks_ = options_.log_y ? log_ticks(y_low, y_high) : axis_ticks(y_low, y_high, 5);
  x_ticks_ = options_.x_axis == PlotAxis::seconds ? time_ticks(x_high, x_wanted)
                                                  : axis_ticks(x_low, x_high, x_wanted);
  size_t widest = 1;
  for (const double tick : y_ticks_) widest = std::max(widest, count_label(tick).size());
  const double left = 14.0 + character_width * static_cast<double>(widest);
  const double bottom = top_ + options_.height - 70.0;
  x_ = {x_low, x_high, left, options_.width - 16.0, false};
  y_ = {y_low, y_high, bottom, top_, options_.log_y};
  height_ = bottom + 44.0;
}

std::string Plot::legend() {
  double x = 4.0, y = 34.0;
  for (const PlotSeries& series : series_) {
    if (series.points.empty() || series.name.empty()) continue;
    const auto most = static_cast<size_t>((options_.width - 60.0) / character_width);
    const std::string name = shortened(series.name, most);
    const double width = 30.0 + character_width * static_cast<double>(name.size()) + 16.0;
    if (x > 4.0 && x + width > options_.width) {
      x = 4.0;
      y += legend_row;
    }
    put("<g class=\"color{}\"><path class=\"key {}\" d=\"M{:.0f} {:.0f}h20\"/>",
        series.color % plot_colors, class_of(series.style), x, y - 4.0);
    if (series.style == PlotStyle::dots) {
      put("<circle class=\"dot\" cx=\"{:.0f}\" cy=\"{:.0f}\" r=\"3\"/>", x + 10.0, y - 4.0);
    }
    put("<text x=\"{:.0f}\" y=\"{:.0f}\">{}</text></g>\n", x + 26.0, y, escape_html(name));
    x += width;
  }
  if (!svg_.empty()) top_ = y + 18.0;
  return std::exchange(svg_, {});
}

void Plot::path(std::string_view classes, const std::vector<std::pair<double, double>>& points,
                bool closed) {
  if (points.empty()) return;
  put("<path class=\"{}\" d=\"", classes);
  for (size_t i = 0; i < points.size(); ++i) {
    put("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", points[i].first, points[i].second);
  }
  svg_ += closed ? "Z\"/>\n" : "\"/>\n";
}

void Plot::draw_axes() {
  const double right = x_.to, bottom = y_.from;
  put("<text class=\"label\" x=\"4\" y=\"14\">{}{}</text>\n", escape_html(options_.y_label),
      options_.log_y ? ", log scale" : "");
  svg_ += "<g class=\"axis\">\n";
  for (const double tick : y_ticks_) {
    const double y = y_(tick);
    put("<path d=\"M{:.1f} {:.1f}H{:.1f}\"/><text x=\"{:.1f}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>\n",
        x_.from, y, right, x_.from - 7.0, y + 4.0, count_label(tick));
  }
  for (const double tick : x_ticks_) {
    const double x = x_(tick);
    const std::string label =
        options_.x_axis == PlotAxis::seconds ? time_label(tick) : count_label(tick);
    const double half = 0.5 * character_width * static_cast<double>(label.size());
    const double at = std::min(x, options_.width - half - 1.0);
    put("<path d=\"M{:.1f} {:.1f}v5\"/><text x=\"{:.1f}\" y=\"{:.1f}\" "
        "text-anchor=\"middle\">{}</text>\n",
        x, bottom, at, bottom + 19.0, label);
  }
  put("<path class=\"base\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n</g>\n", x_.from, bottom, right);
  put("<text class=\"label\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", right,
      bottom + 38.0, escape_html(options_.x_label));
}

void Plot::draw_series(const PlotSeries& series) {
  std::vector<std::pair<double, double>> line, band;
  for (const PlotPoint& point : series.points) {
    if (usable(point, options_.log_y)) line.emplace_back(x_(point.x), y_(point.y));
  }
  const bool banded = series.style == PlotStyle::faint || series.style == PlotStyle::band;
  if (banded) {
    const double floor = options_.log_y ? y_.low * 1e-3 : y_.low - 1e3 * (y_.high - y_.low);
    const auto place = [&](double value, double instead) {
      return std::clamp(y_(std::max(fits(value) ? value : instead, floor)), -9999.0, 9999.0);
    };
    for (const PlotPoint& point : series.points) {
      if (usable(point, options_.log_y)) band.emplace_back(x_(point.x), place(point.high, point.y));
    }
    for (auto point = series.points.rbegin(); point != series.points.rend(); ++point) {
      if (!usable(*point, options_.log_y)) continue;
      band.emplace_back(x_(point->x), place(point->low, point->y));
    }
  }
  put("<g class=\"color{}\">\n", series.color % plot_colors);
  path("band", band, true);
  path(class_of(series.style), line, false);
  constexpr size_t few = 40;
  if (line.size() == 1 || (series.style == PlotStyle::dots && line.size() <= few)) {
    for (const auto& [x, y] : line) {
      put("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>\n", x, y);
    }
  }
  svg_ += "</g>\n";
}

std::string Plot::draw() {
  const std::string legend = this->legend();
  set_scales();
  const std::string& id = options_.id;
  put("<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {:.0f}\" "
      "id=\"{}\" "
      "role=\"img\" aria-labelledby=\"{}-title {}-description\" data-area=\"{:.1f} {:.1f} {:.1f} "
      "{:.1f}\" data-x=\"{:.9g} {:.9g}\">\n",
      options_.width, height_, id, id, id, x_.from, y_.to, x_.to, y_.from, x_.low, x_.high);
  put("<title id=\"{}-title\">{}</title>\n<desc id=\"{}-description\">{}</desc>\n", id,
      escape_html(options_.title), id, escape_html(options_.description));
  svg_ += legend;
  draw_axes();
  put("<clipPath id=\"{}-area\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
      "height=\"{:.1f}\"/></clipPath>\n<g clip-path=\"url(#{}-area)\">\n",
      id, x_.from, y_.to - 4.0, x_.to - x_.from + 4.0, y_.from - y_.to + 8.0, id);
  for (const PlotSeries& series : series_) draw_series(series);
  svg_ += "</g>\n";
  if (empty_) {
    put("<text class=\"label\" x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">no values"
        "</text>\n",
        0.5 * (x_.from + x_.to), 0.5 * (y_.from + y_.to));
  }
  svg_ += "</svg>\n";
  return std::move(svg_);
}

}  // namespace

std::string svg_plot(const PlotOptions& options, const std::vector<PlotSeries>& series) {
  return Plot(options, series).draw();
}

std::vector<double> axis_ticks(double low, double high, int wanted) {
  const double rough = (high - low) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = power;
  for (const double multiple : {1.0, 2.0, 5.0, 10.0}) {
    step = multiple * power;
    if (step >= rough * 0.999) break;
  }
  std::vector<double> ticks;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) {
    ticks.push_back(i == 0.0 ? 0.0 : i * step);
    if (ticks.size() > 100) break;  // adjacent ticks may round to the same double
  }
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  const double decades = std::log10(high) - std::log10(low);
  if (decades < 0.3) return axis_ticks(low, high, 5);
  const std::vector<double> multiples = decades < 1.2
                                            ? std::vector{1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0}
                                        : decades < 3.0 ? std::vector{1.0, 2.0, 5.0}
                                                        : std::vector{1.0};
  const double every = decades < 7.0 ? 1.0 : std::ceil(decades / 6.0);
  std::vector<double> ticks;
  for (double power = std::floor(std::log10(low)); power <= std::log10(high); power += every) {
    for (const double multiple : multiples) {
      const double tick = multiple * std::pow(10.0, power);
      if (tick >= low * 0.9999 && tick <= high * 1.0001) ticks.push_back(tick);
    }
  }
  return ticks;
}

std::vector<double> time_ticks(double high, int wanted) {
  constexpr double steps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                              600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
  if (high < 3.0) return axis_ticks(0.0, high, wanted);
  double step = 86400.0;
  for (const double candidate : steps) {
    step = candidate;
    if (high / candidate <= wanted) break;
  }
  if (high / step > wanted) step = axis_ticks(0.0, high, wanted).at(1);
  std::vector<double> ticks;
  for (double tick = 0.0; tick <= high * 1.0001; tick += step) ticks.push_back(tick);
  return ticks;
}

std::string svg_file(std::string_view svg) {
  const size_t inside = svg.find('>') + 1;
  return fmt::format("{}\n<style>\n{}.plot{{background:var(--paper)}}</style>{}",
                     svg.substr(0, inside), plot_css, svg.substr(inside));
}

}  // namespace folio
