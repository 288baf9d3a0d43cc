// Line plots as SVG: readable without scripts, by screen readers, and when saved to a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace folio {

struct PlotPoint {
  double x = 0.0, y = 0.0;
  double low = 0.0, high = 0.0;  // of what the point stands for, drawn as a band
};

enum class PlotStyle : uint8_t {
  faint,  // a thin line within its band
  line,
  dots,  // a strong line with a dot at each point, where there are few
  band,  // a wide dashed line within its band: a reference
};

struct PlotSeries {
  std::string name;  // in the legend; empty: not there
  int color = 0;     // counted from 0; after plot_colors they repeat
  PlotStyle style = PlotStyle::line;
  std::vector<PlotPoint> points;  // by x
};

enum class PlotAxis : uint8_t { number, seconds };

struct PlotOptions {
  std::string id;           // of the SVG element, unique in a page
  std::string title;        // for screen readers, and the name of the saved file
  std::string description;  // what is to be seen, in words
  std::string x_label, y_label;
  PlotAxis x_axis = PlotAxis::number;
  bool log_y = false;
  int width = 360, height = 250;  // of the plot with its axes; the legend adds to the height
};

constexpr int plot_colors = 6;

/// An <svg> element with title, description, legend, axes and one group a series. The range of y is
/// that of the lines; what of a band lies beyond is cut off. Points that are not finite (or, on a
/// log axis, not above 0) are left out.
std::string svg_plot(const PlotOptions& options, const std::vector<PlotSeries>& series);

/// The same as a file of its own, with its style.
std::string svg_file(std::string_view svg);

/// Colors and strokes of plots in light and in dark, for the page and for saved plots. Everything
/// is below a class "plot".
std::string_view plot_style();

/// Round numbers in [low, high], about `wanted` of them.
std::vector<double> axis_ticks(double low, double high, int wanted);
/// 1, 2 and 5 times powers of ten in [low, high], more or fewer where the range asks for it.
std::vector<double> log_ticks(double low, double high);
/// Times that people count in: whole and half minutes, hours, ...
std::vector<double> time_ticks(double high, int wanted);

}  // namespace folio
