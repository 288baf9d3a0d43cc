// The name that was probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace folio {

/// Levenshtein distance in bytes.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `name` within a third of its length (at least 1, at most 3 edits), or
/// an empty string.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace folio
