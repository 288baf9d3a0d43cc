// What the pages of Folio share: their head, style and the script that reads plots.
#pragma once

#include <string>
#include <string_view>

namespace folio {

/// From the doctype to <body>, everything inline. `title` is plain text.
std::string page_head(std::string_view title);

/// Shows the values under the pointer; without it the page only lacks that.
std::string_view plot_script();

}  // namespace folio
