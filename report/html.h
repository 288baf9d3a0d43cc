// Pieces of HTML pages, and text escaped for HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace folio {

/// A page from the doctype to <body>, with its style inline. `title` is plain text.
std::string page_head(std::string_view title);

/// Text for element content and for attributes in double quotes. Invalid UTF-8 and control
/// characters other than tab and line break become U+FFFD.
std::string escape_html(std::string_view text);

/// "data:image/svg+xml,...", percent-encoded so that an attribute can contain it.
std::string svg_data_uri(std::string_view svg);

}  // namespace folio
