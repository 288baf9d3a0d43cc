#include "folio/report/svg_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "folio/report/html.h"

namespace folio {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

size_t occurrences(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; ++at) ++count;
  return count;
}

PlotOptions options() {
  PlotOptions result;
  result.id = "loss";
  result.title = "Loss";
  result.description = "It falls.";
  result.x_label = "step";
  result.y_label = "loss";
  return result;
}

std::vector<PlotSeries> falling() {
  return {{"train", 0, PlotStyle::faint, {{0, 4, 3.5, 4.5}, {1000, 2, 1.5, 2.5}}},
          {"validation", 1, PlotStyle::dots, {{0, 4.1, 0, 0}, {1000, 2.1, 0, 0}}}};
}

TEST(SvgPlot, HasWhatAScreenReaderReads) {
  const std::string svg = svg_plot(options(), falling());
  EXPECT_THAT(svg, AllOf(StartsWith("<svg "), HasSubstr("role=\"img\""),
                         HasSubstr("aria-labelledby=\"loss-title loss-description\""),
                         HasSubstr("<title id=\"loss-title\">Loss</title>"),
                         HasSubstr("<desc id=\"loss-description\">It falls.</desc>")));
}

TEST(SvgPlot, DrawsEachSeriesWithItsBandAndDots) {
  const std::string svg = svg_plot(options(), falling());
  EXPECT_EQ(occurrences(svg, "class=\"band\""), 1u);
  EXPECT_EQ(occurrences(svg, "<circle class=\"dot\""), 1u + 2u);  // the legend's, two points'
  EXPECT_THAT(svg, AllOf(HasSubstr(">train</text>"), HasSubstr(">validation</text>"),
                         HasSubstr(">1,000</text>")));
}

TEST(SvgPlot, HigherValuesLieHigher) {
  const std::string svg =
      svg_plot(options(), {{"", 0, PlotStyle::line, {{0, 1, 0, 0}, {1, 2, 0, 0}}}});
  const size_t at = svg.find("class=\"line\" d=\"M");
  ASSERT_NE(at, std::string::npos);
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  ASSERT_EQ(
      std::sscanf(svg.c_str() + at, "class=\"line\" d=\"M%lf %lfL%lf %lf", &x1, &y1, &x2, &y2), 4);
  EXPECT_LT(x1, x2);
  EXPECT_GT(y1, y2);
}

TEST(SvgPlot, EscapesNames) {
  const std::string svg =
      svg_plot(options(), {{"<script>&\"'", 0, PlotStyle::line, {{0, 1, 0, 0}, {1, 2, 0, 0}}}});
  EXPECT_THAT(
      svg, AllOf(Not(HasSubstr("<script>")), HasSubstr("&lt;script&gt;&amp;&quot;&#39;</text>")));
}

TEST(SvgPlot, NeverDrawsWhatIsNoNumber) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  for (const bool log_y : {false, true}) {
    PlotOptions some = options();
    some.log_y = log_y;
    for (const std::vector<PlotPoint>& points :
         std::vector<std::vector<PlotPoint>>{{},
                                             {{0, nan, nan, nan}},
                                             {{0, infinity, 0, infinity}},
                                             {{0, 0, 0, 0}},
                                             {{5, 3, 3, 3}},
                                             {{0, -1, -2, 0}, {1, 0, -1, 1}},
                                             {{0, 1e300, 1e300, 1e300}, {1e300, 1e-300, 0, 1e300}},
                                             {{nan, 1, 1, 1}, {1, 2, nan, infinity}}}) {
      const std::string svg = svg_plot(some, {{"a", 0, PlotStyle::faint, points}});
      EXPECT_THAT(svg, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf ")), HasSubstr("</svg>")));
    }
  }
}

TEST(SvgPlot, ALogAxisHasPowersOfTen) {
  PlotOptions log = options();
  log.log_y = true;
  const std::string svg =
      svg_plot(log, {{"", 0, PlotStyle::line, {{0, 0.01, 0, 0}, {1, 100, 0, 0}}}});
  for (const char* label : {">0.01<", ">0.1<", ">1<", ">10<", ">100<", "log scale"}) {
    EXPECT_THAT(svg, HasSubstr(label));
  }
}

TEST(SvgPlot, ASavedPlotCarriesItsStyle) {
  const std::string file = svg_file(svg_plot(options(), falling()));
  EXPECT_THAT(file, AllOf(StartsWith("<svg "), HasSubstr("<style>"), HasSubstr("--color0")));
  const std::string uri = svg_data_uri(file);
  EXPECT_THAT(uri, StartsWith("data:image/svg+xml,%3Csvg%20"));
  EXPECT_EQ(uri.find_first_of("<>\"# \n&'"), std::string::npos);
}

TEST(AxisTicks, AreRound) {
  EXPECT_THAT(axis_ticks(0, 100, 5), ElementsAre(0, 20, 40, 60, 80, 100));
  EXPECT_EQ(axis_ticks(1.3, 4.2, 5).size(), 3u);
  EXPECT_THAT(time_ticks(600, 5), ElementsAre(0, 120, 240, 360, 480, 600));
  EXPECT_THAT(log_ticks(1, 1000), ElementsAre(1, 10, 100, 1000));
  EXPECT_LT(time_ticks(1e12, 5).size(), 12u);
}

TEST(EscapeHtml, LeavesNoWayOut) {
  EXPECT_EQ(escape_html("a<b>&\"'\n\t"), "a&lt;b&gt;&amp;&quot;&#39;\n\t");
  EXPECT_EQ(escape_html("caf\u00E9 \u20AC \U0001F3AD"), "caf\u00E9 \u20AC \U0001F3AD");
  EXPECT_EQ(escape_html(std::string_view("\0\x1b\x7f", 3)), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(escape_html("\xff\xc0\xaf\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(escape_html("\xe2\x82"), "\uFFFD");
}

}  // namespace
}  // namespace folio
