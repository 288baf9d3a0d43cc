// Text made safe for HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace folio {

/// For element content and for attributes in double quotes. Bytes that are no UTF-8 and control
/// characters other than tab and line break become U+FFFD.
std::string escape_html(std::string_view text);

/// "data:image/svg+xml,...", percent-encoded so that it may stand in an attribute as it is.
std::string svg_data_uri(std::string_view svg);

}  // namespace folio
