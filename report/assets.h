// The files of report/assets, which the build compiles into the program.
#pragma once

#include <string_view>

namespace folio {

extern const std::string_view page_css;  // the style of all pages
/// The colors and strokes of plots in light and dark mode, for pages and for saved SVG files. Every
/// rule is limited to the class "plot".
extern const std::string_view plot_css;
extern const std::string_view plot_js;  // shows the values of a plot at the pointer

}  // namespace folio
