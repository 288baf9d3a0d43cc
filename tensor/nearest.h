// The name that was probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace folio {

/// The candidate nearest to `name` within two fifths of its length (at least 1, at most 3 edits:
/// two letters in the wrong order are two), or an empty string.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace folio
