// Line plots as SVG. They work without scripts, with screen readers and as separate files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace folio {

struct PlotPoint {
  double x = 0.0, y = 0.0;
  double low = 0.0, high = 0.0;  // the range of the values in the point, drawn as a band
};

enum class PlotStyle : uint8_t {
  faint,  // a thin line with its band
  line,
  dots,  // a thick line with dots, if there are few points
  band,  // a reference: a dashed line with its band
};

struct PlotSeries {
  std::string name;  // in the legend; empty: not in the legend
  int color = 0;     // from 0; repeats after plot_colors
  PlotStyle style = PlotStyle::line;
  std::vector<PlotPoint> points;  // sorted by x
};

enum class PlotAxis : uint8_t { number, seconds };

struct PlotOptions {
  std::string id;           // of the SVG element, unique in a page
  std::string title;        // for screen readers, and the name of the saved file
  std::string description;  // of the curves, in words
  std::string x_label, y_label;
  PlotAxis x_axis = PlotAxis::number;
  bool log_y = false;
  int width = 360, height = 250;  // of the plot with its axes; the legend adds to the height
};

constexpr int plot_colors = 6;

/// An <svg> element with title, description, legend, axes and one group per series. The range of y
/// is that of the lines; bands are clipped to it. Points that are not finite, or not positive on a
/// log axis, are skipped.
std::string svg_plot(const PlotOptions& options, const std::vector<PlotSeries>& series);

/// The content of an SVG file with the plot and its style.
std::string svg_file(std::string_view svg);

/// Round numbers in [low, high], about `wanted` of them.
std::vector<double> axis_ticks(double low, double high, int wanted);
/// 1, 2 and 5 times powers of ten in [low, high], more or fewer where the range asks for it.
std::vector<double> log_ticks(double low, double high);
/// Round times, such as half minutes, minutes and hours.
std::vector<double> time_ticks(double high, int wanted);

}  // namespace folio
