// Numbers in the names of files and directories.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace folio {

/// A decimal number of at least 0, without sign, leading zeros or other characters.
std::optional<int64_t> parse_whole_number(std::string_view text);

/// "step_N".
std::string step_name(int64_t step);

/// N if `name` is "step_N" and `suffix`.
std::optional<int64_t> parse_step_name(std::string_view name, std::string_view suffix = "");

}  // namespace folio
