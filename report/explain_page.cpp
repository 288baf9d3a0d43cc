#include "folio/report/explain_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numeric>
#include <string_view>
#include <vector>

#include "folio/io/output.h"
#include "folio/io/version.h"
#include "folio/report/facts.h"
#include "folio/report/html.h"
#include "folio/report/svg_plot.h"
#include "folio/run/machine.h"

namespace folio {
namespace {

/// A token with visible symbols for spaces and line breaks, as HTML.
std::string visible(std::string_view token) {
  std::string text;
  for (const char c : token) {
    text += c == '\n' ? "\u23CE" : c == ' ' ? "\u2423" : std::string(1, c);
  }
  return escape_html(text);
}

std::string percent(double probability) {
  return probability >= 0.0995 ? fmt::format("{:.0f}%", 100.0 * probability)
                               : fmt::format("{:.1f}%", 100.0 * probability);
}

std::string chip(const ExpectedToken& token, bool came) {
  return fmt::format(
      "<li{}><span class=\"token\">{}</span><span class=\"bars\" aria-hidden=\"true\"><i "
      "style=\"width:{:.1f}%\"></i><i style=\"width:{:.1f}%\"></i></span><span "
      "class=\"percent\">{} <span class=\"unseen\">before, </span><b>{}</b><span class=\"unseen\"> "
      "after temperature{}</span></span></li>",
      came ? " class=\"came\"" : "", visible(token.text), 100.0 * token.probability,
      100.0 * token.sampled_probability, percent(token.probability),
      percent(token.sampled_probability), came ? ", and it comes" : "");
}

std::string expectations(const Explanation& explanation) {
  std::string html = "<ol class=\"positions\">\n";
  for (size_t i = 0; i < explanation.tokens.size(); ++i) {
    std::string before;
    for (size_t j = i >= 12 ? i - 12 : 0; j < i; ++j) before += visible(explanation.tokens[j]);
    html += fmt::format(
        "<li><p class=\"after\"><span class=\"unseen\">after </span>{}<mark>{}</mark>"
        "</p><ul>",
        before, visible(explanation.tokens[i]));
    const bool known = i < explanation.came.size();
    bool seen = false;
    for (const ExpectedToken& token : explanation.expected[i]) {
      const bool came = known && token.token == explanation.came[i].token;
      seen |= came;
      html += chip(token, came);
    }
    if (known && !seen) html += chip(explanation.came[i], true);
    html += "</ul></li>\n";
  }
  return html + "</ol>\n";
}

/// Describes the attention of the last position in words.
std::string in_words(const Explanation& explanation, const AttentionMap& map) {
  const size_t length = explanation.tokens.size();
  const float* row = &map.probabilities[(length - 1) * length];
  std::vector<size_t> order(length);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [row](size_t a, size_t b) { return row[a] > row[b]; });
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(3, length); ++i) {
    text +=
        fmt::format("{}{} at {} ({})", i == 0 ? "" : ", ", visible(explanation.tokens[order[i]]),
                    order[i] + 1, percent(row[order[i]]));
  }
  return text;
}

std::string map_svg(const Explanation& explanation, const AttentionMap& map) {
  constexpr int levels = 12, cell = 10, margin = 14;
  const auto length = static_cast<int>(explanation.tokens.size());
  const std::string id = fmt::format("layer-{}-head-{}", map.layer + 1, map.head + 1);
  std::string svg = fmt::format(
      "<svg class=\"plot map\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {0}\" "
      "id=\"{1}\" "
      "role=\"img\" aria-labelledby=\"{1}-title {1}-description\">\n<title id=\"{1}-title\">Layer "
      "{2}, head {3}</title>\n<desc id=\"{1}-description\">The last position looks most at: "
      "{4}.</desc>\n",
      length * cell + margin + 2, id, map.layer + 1, map.head + 1, in_words(explanation, map));
  svg += fmt::format("<path class=\"paper\" d=\"M{0} {0}", margin);
  for (int i = 0; i < length; ++i) svg += fmt::format("v{0}h{0}", cell);
  svg += fmt::format("V{}H{}Z\"/>\n", margin, margin);
  std::array<std::string, levels + 1> paths;
  for (int i = 0; i < length; ++i) {
    for (int j = 0; j <= i; ++j) {
      // The square root makes small probabilities visible.
      const double shade = std::sqrt(static_cast<double>(map.probabilities[i * length + j]));
      fmt::format_to(std::back_inserter(paths[std::lround(shade * levels)]), "M{} {}h{}v{}h-{}z",
                     margin + j * cell, margin + i * cell, cell, cell, cell);
    }
  }
  for (int level = 1; level <= levels; ++level) {
    if (paths[level].empty()) continue;
    svg += fmt::format("<path class=\"cell\" fill-opacity=\"{:.2f}\" d=\"{}\"/>\n",
                       static_cast<double>(level) / levels, paths[level]);
  }
  for (int i = 0; i < length; ++i) {
    const double middle = margin + (i + 0.5) * cell;
    const std::string token = visible(explanation.tokens[i]);
    svg += fmt::format(
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>"
        "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
        margin / 2, middle + 3.0, token, middle, margin - 4, token);
  }
  return svg + "</svg>\n";
}

std::string maps(const Explanation& explanation) {
  std::string html;
  int64_t layer = -1;
  for (const AttentionMap& map : explanation.maps) {
    if (map.layer != layer) {
      html += fmt::format("{}<h3>Layer {}</h3>\n<div class=\"maps\">\n",
                          layer < 0 ? "" : "</div>\n", map.layer + 1);
      layer = map.layer;
    }
    const std::string svg = map_svg(explanation, map);
    html += fmt::format(
        "<figure class=\"small\"><figcaption>Head {}</figcaption>{}<p "
        "class=\"measure\">From the last: {}.</p><a class=\"save\" "
        "download=\"layer-{}-head-{}.svg\" href=\"{}\">Save<span class=\"unseen\"> "
        "layer {}, head {}</span> (SVG)</a></figure>\n",
        map.head + 1, svg, in_words(explanation, map), map.layer + 1, map.head + 1,
        svg_data_uri(svg_file(svg)), map.layer + 1, map.head + 1);
  }
  return html + "</div>\n";
}

}  // namespace

std::string explanation_page(const Explanation& explanation, const ExplainedModel& model) {
  std::string html = page_head(fmt::format("{} \u2013 what the model sees", model.run));
  html += fmt::format(
      "<header><p class=\"kicker\">Folio explains</p>\n<h1>What the model sees</h1>\n<p "
      "class=\"lead\">{}, after {}, reads \u201c{}\u201d.{}</p></header>\n<main>\n",
      escape_html(model.run), counted(model.step, "step"), escape_html(model.prompt),
      explanation.tokens_left_out == 0
          ? ""
          : fmt::format(" Shown are the last {}; {} before them {} left out.",
                        counted(std::ssize(explanation.tokens), "token"),
                        grouped(explanation.tokens_left_out),
                        explanation.tokens_left_out == 1 ? "is" : "are"));
  html += fmt::format(
      "<section aria-labelledby=\"expected\"><h2 id=\"expected\">What it expects next</h2>\n<p "
      "class=\"note\">After each position the likeliest next tokens: their probability as the "
      "model "
      "gives it, and in bold after the temperature {:g}. Framed is the token that does come.</p>\n"
      "{}</section>\n",
      model.temperature, expectations(explanation));
  html +=
      "<section aria-labelledby=\"attention\"><h2 id=\"attention\">Where it looks</h2>\n<p "
      "class=\"note\">One map a head. Each row is a position, from the first on top to the last; "
      "the darker a column, the more of its value comes from that position (the shade goes with "
      "the square root of the probability). No position sees a later one.</p>\n" +
      maps(explanation) + "</section>\n";
  html += fmt::format("</main>\n<footer><p>Made by folio {}.</p></footer>\n", folio_version());
  return html + "</body></html>\n";
}

}  // namespace folio
