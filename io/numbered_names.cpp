#include "folio/io/numbered_names.h"

#include <charconv>
#include <system_error>

namespace folio {
namespace {

constexpr std::string_view prefix = "step_";

}  // namespace

std::optional<int64_t> parse_whole_number(std::string_view text) {
  int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const bool is_canonical = error == std::errc() && stop == end && std::to_string(number) == text;
  return is_canonical && number >= 0 ? std::optional(number) : std::nullopt;
}

std::string step_name(int64_t step) { return std::string(prefix) + std::to_string(step); }

std::optional<int64_t> parse_step_name(std::string_view name, std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  if (name.size() < suffix.size()) return std::nullopt;
  return parse_whole_number(name.substr(0, name.size() - suffix.size()));
}

}  // namespace folio
