// JSON files: parsing, members checked for their types, and a checksum of the file in the file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "folio/io/files.h"

namespace folio {

using Json = nlohmann::ordered_json;

/// The value of `text`, unless it is not valid JSON or is nested more than `most_depth` deep.
std::optional<Json> parse_json(std::string_view text, int most_depth = 8);

/// As indented text with a line break at its end. Invalid UTF-8 is replaced by U+FFFD.
std::string json_text(const Json& value);

/// A number, or the strings "nan", "inf" and "-inf", which JSON has no numbers for.
Json json_number(double value);

/// json_text() of an object with one more member at its end: "checksum", the XXH64 of all text
/// before that member.
std::string sealed_json(const Json& object);

/// Whether not a single bit of `text` differs from what sealed_json() returned.
bool seal_fits(std::string_view text);
inline constexpr std::string_view seal_fault =
    "its checksum does not fit its content (is it truncated?)";

/// The members of a JSON object, each checked for its type. All functions throw Error(where,
/// message, remedy) about the file `where`.
class JsonObject {
 public:
  /// `value` must outlive the object.
  JsonObject(const Json& value, std::string_view where, std::string_view remedy);

  bool contains(const std::string& key) const { return value_.contains(key); }
  const Json& get(const std::string& key) const;
  int64_t integer(const std::string& key) const;
  uint64_t unsigned_integer(const std::string& key) const;
  double number(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  std::string text(const std::string& key) const;
  JsonObject object(const std::string& key) const;
  /// 16 hexadecimal digits.
  uint64_t checksum(const std::string& key) const;
  /// An object with "bytes" and "checksum", as stamp_json() returns it.
  FileStamp stamp(const std::string& key) const;

  /// Throws an Error about the file unless `condition` holds.
  void check(bool condition, std::string_view message) const;

 private:
  const Json& value_;
  std::string where_, remedy_;
};

Json stamp_json(const FileStamp& stamp);

}  // namespace folio
