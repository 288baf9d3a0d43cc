#include "folio/report/html.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>

#include "folio/io/utf8.h"
#include "folio/report/assets.h"

namespace folio {

std::string escape_html(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : repaired_utf8(text)) {
    const auto byte = static_cast<uint8_t>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      result += "\uFFFD";
    } else if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else if (c == '"') {
      result += "&quot;";
    } else if (c == '\'') {
      result += "&#39;";
    } else {
      result += c;
    }
  }
  return result;
}

std::string page_head(std::string_view title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n"
      "<style>\n{}\n{}</style>\n</head><body>\n",
      escape_html(title), plot_css, page_css);
}

std::string svg_data_uri(std::string_view svg) {
  std::string result = "data:image/svg+xml,";
  for (const char c : svg) {
    const auto byte = static_cast<uint8_t>(c);
    const bool plain = byte > 0x20 && byte < 0x7F &&
                       std::string_view("%#\"<>&'`{}|\\^").find(c) == std::string_view::npos;
    if (plain) {
      result += c;
    } else {
      fmt::format_to(std::back_inserter(result), "%{:02X}", byte);
    }
  }
  return result;
}

}  // namespace folio
