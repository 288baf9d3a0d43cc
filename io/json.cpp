#include "folio/io/json.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "folio/io/output.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

std::string closing(uint64_t checksum) {
  return fmt::format(",\n  \"checksum\": \"{}\"\n}}\n", hexadecimal(checksum));
}

}  // namespace

std::optional<Json> parse_json(std::string_view text, int most_depth) {
  bool too_deep = false;
  const auto limit = [&](int depth, Json::parse_event_t, Json&) {
    too_deep |= depth > most_depth;
    return !too_deep;
  };
  Json value = Json::parse(text, limit, /*allow_exceptions=*/false);
  return value.is_discarded() || too_deep ? std::nullopt : std::optional(std::move(value));
}

std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json json_number(double value) {
  return std::isfinite(value) ? Json(value) : Json(short_number(value));
}

std::string sealed_json(const Json& object) {
  std::string text = json_text(object);
  text.resize(text.size() - std::string_view("\n}\n").size());
  return text + closing(checksum_of(text));
}

bool seal_fits(std::string_view text) {
  // The text is covered, not its meaning: 1e5 instead of 1E5 is damage too.
  const size_t closing_bytes = closing(0).size();
  if (text.size() < closing_bytes) return false;
  const std::string_view covered = text.substr(0, text.size() - closing_bytes);
  const std::string_view end = text.substr(covered.size());
  // In step.json of 2026 the checksum covers the object's closing brace too.
  return end == closing(checksum_of(covered)) ||
         end == closing(checksum_of(std::string(covered) + "\n}"));
}

JsonObject::JsonObject(const Json& value, std::string_view where, std::string_view remedy)
    : value_(value), where_(where), remedy_(remedy) {
  check(value.is_object(), "an object is missing");
}

void JsonObject::check(bool condition, std::string_view message) const {
  if (!condition) fail(where_, message, remedy_);
}

const Json& JsonObject::get(const std::string& key) const {
  const auto found = value_.find(key);
  check(found != value_.end(), fmt::format("\"{}\" is missing", key));
  return *found;
}

int64_t JsonObject::integer(const std::string& key) const {
  const Json& value = get(key);
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
  check(fits, fmt::format("\"{}\" is not a whole number", key));
  return value.get<int64_t>();
}

uint64_t JsonObject::unsigned_integer(const std::string& key) const {
  check(get(key).is_number_unsigned(), fmt::format("\"{}\" is not a whole number", key));
  return get(key).get<uint64_t>();
}

double JsonObject::number(const std::string& key) const {
  check(get(key).is_number(), fmt::format("\"{}\" is not a number", key));
  return get(key).get<double>();
}

std::vector<double> JsonObject::numbers(const std::string& key) const {
  const Json& value = get(key);
  const bool fits =
      value.is_array() && std::ranges::all_of(value, [](const Json& x) { return x.is_number(); });
  check(fits, fmt::format("\"{}\" is not a list of numbers", key));
  return value.get<std::vector<double>>();
}

std::string JsonObject::text(const std::string& key) const {
  check(get(key).is_string(), fmt::format("\"{}\" is not text", key));
  return get(key).get<std::string>();
}

JsonObject JsonObject::object(const std::string& key) const {
  check(get(key).is_object(), fmt::format("\"{}\" is not an object", key));
  return {get(key), where_, remedy_};
}

uint64_t JsonObject::checksum(const std::string& key) const {
  const std::string digits = text(key);
  const uint64_t value = std::strtoull(digits.c_str(), nullptr, 16);
  check(hexadecimal(value) == digits, fmt::format("\"{}\" is not 16 hexadecimal digits", key));
  return value;
}

FileStamp JsonObject::stamp(const std::string& key) const {
  const JsonObject file = object(key);
  const int64_t bytes = file.integer("bytes");
  file.check(bytes >= 0, fmt::format("\"bytes\" of \"{}\" is {}", key, bytes));
  return {static_cast<uint64_t>(bytes), file.checksum("checksum")};
}

Json stamp_json(const FileStamp& stamp) {
  return {{"bytes", stamp.bytes}, {"checksum", hexadecimal(stamp.checksum)}};
}

}  // namespace folio
