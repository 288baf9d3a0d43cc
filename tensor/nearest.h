// Suggests the name that was probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace folio {

/// The candidate with the smallest edit distance to `name`, within two fifths of its length (at
/// least 1 and at most 3 edits; swapping two letters takes two), or an empty string.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace folio
