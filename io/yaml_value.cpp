#include "folio/io/yaml_value.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include "folio/io/utf8.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr std::string_view integer_wanted = "a whole number";
constexpr std::string_view number_wanted = "a number";

std::string double_quoted(std::string_view text) {
  constexpr std::string_view special = "\"\\\n\t\r", names = "\"\\ntr";
  std::string result = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (const size_t i = special.find(c); i != special.npos) {
      result += {'\\', names[i]};
    } else {
      result += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
    }
  }
  return result + '"';
}

// The text of a scalar. `wanted` describes the expected value.
const std::string& scalar_of(const YAML::Node& node, std::string_view where,
                             std::string_view wanted) {
  FOLIO_CHECK(!node.IsNull(), where, "there is no value; write {}", wanted);
  FOLIO_CHECK(node.IsScalar(), where, "{} is not {}", kind_of(node), wanted);
  const std::string& tag = node.Tag();
  FOLIO_CHECK(tag.empty() || tag == "?" || tag == "!", where,
              "YAML tags such as {} are not supported; write {} alone", shown(tag), wanted);
  return node.Scalar();
}

// The text of a scalar without quotes.
const std::string& plain_scalar_of(const YAML::Node& node, std::string_view where,
                                   std::string_view wanted) {
  const std::string& text = scalar_of(node, where, wanted);
  FOLIO_CHECK(node.Tag() != "!", where, "{} in quotes is text, not {}; leave the quotes out",
              shown(text), wanted);
  return text;
}

template <class T>
T parse_integer(const YAML::Node& node, std::string_view where, T low, T high) {
  const std::string& text = plain_scalar_of(node, where, integer_wanted);
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool is_integer = stop == end && error != std::errc::invalid_argument;
  // from_chars accepts no sign for unsigned types, but "-1" is out of range, not misspelled.
  const bool is_negative =
      text.size() > 1 && text[0] == '-' && text.find_first_not_of("0123456789", 1) == text.npos;
  FOLIO_CHECK(is_integer || is_negative, where, "{} is not {}", shown(text), integer_wanted);
  FOLIO_CHECK(is_integer && error == std::errc() && value >= low && value <= high, where,
              "{} is out of range; it must be at least {} and at most {}", text.substr(0, 40), low,
              high);
  return value;
}

void check_list(const YAML::Node& node, std::string_view where, std::string_view example) {
  FOLIO_CHECK(!node.IsNull(), where, "there is no value; write a list such as {}", example);
  FOLIO_CHECK(node.IsSequence(), where, "{} is not a list; write it as {}",
              node.IsScalar() ? shown(node.Scalar()) : kind_of(node), example);
}

std::string entry_of(std::string_view where, size_t index) {
  return fmt::format("{}: entry {}", where, index + 1);
}

std::string describe(const NumberRange& range) {
  return fmt::format("{} {} and {} {}", range.low_included ? "at least" : "above", range.low,
                     range.high_included ? "at most" : "below", range.high);
}

}  // namespace

int64_t read_integer(const YAML::Node& node, std::string_view where, int64_t low, int64_t high) {
  return parse_integer(node, where, low, high);
}

uint64_t read_unsigned(const YAML::Node& node, std::string_view where) {
  return parse_integer<uint64_t>(node, where, 0, UINT64_MAX);
}

std::vector<int64_t> read_integers(const YAML::Node& node, std::string_view where, int64_t low,
                                   int64_t high) {
  check_list(node, where, "[0, 250]");
  std::vector<int64_t> values;
  for (const auto& entry : node) {
    values.push_back(parse_integer(entry, entry_of(where, values.size()), low, high));
  }
  return values;
}

double read_number(const YAML::Node& node, std::string_view where, const NumberRange& range) {
  const std::string& text = plain_scalar_of(node, where, number_wanted);
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  FOLIO_CHECK(stop == end && error != std::errc::invalid_argument, where, "{} is not {}",
              shown(text), number_wanted);
  const bool in_range = (range.low_included ? value >= range.low : value > range.low) &&
                        (range.high_included ? value <= range.high : value < range.high);
  FOLIO_CHECK(error == std::errc() && std::isfinite(value) && in_range, where,
              "{} is out of range; it must be {}", text.substr(0, 40), describe(range));
  return value;
}

std::vector<double> read_number_pair(const YAML::Node& node, std::string_view where,
                                     const NumberRange& range) {
  check_list(node, where, "[0.9, 0.99]");
  FOLIO_CHECK(node.size() == 2, where, "a list of {} is not a pair; write it as [0.9, 0.99]",
              node.size());
  std::vector<double> values;
  for (const auto& entry : node) {
    values.push_back(read_number(entry, entry_of(where, values.size()), range));
  }
  return values;
}

bool read_boolean(const YAML::Node& node, std::string_view where) {
  const std::string& text = plain_scalar_of(node, where, "true or false");
  FOLIO_CHECK(text == "true" || text == "false", where, "{} is neither true nor false",
              shown(text));
  return text == "true";
}

std::string read_string(const YAML::Node& node, std::string_view where, std::string_view wanted) {
  FOLIO_CHECK(node.IsScalar() || node.IsNull(), where, "{} is not text; put the text in quotes",
              kind_of(node));
  return scalar_of(node, where, wanted);
}

std::string write_string(std::string_view text) {
  constexpr std::string_view safe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
  const bool plain = !text.empty() && text.find_first_not_of(safe) == text.npos && text[0] != '-' &&
                     text[0] != '.' && text != "null" && text != "Null" && text != "NULL";
  return plain ? std::string(text) : double_quoted(text);
}

std::string write_number(double value) { return fmt::format("{}", value); }

std::string write_integers(const std::vector<int64_t>& values) {
  return fmt::format("[{}]", fmt::join(values, ", "));
}

std::string shown(std::string_view text) {
  const size_t end = character_start(text, std::min<size_t>(text.size(), 60));
  return double_quoted(text.substr(0, end)) + (end < text.size() ? "..." : "");
}

std::string shown_key(std::string_view key) {
  return key.size() <= 60 && write_string(key) == key ? std::string(key) : shown(key);
}

std::string kind_of(const YAML::Node& node) {
  if (node.IsMap()) return "a section with keys of its own";
  if (node.IsSequence()) return "a list";
  if (node.IsScalar()) return shown(node.Scalar());
  return "nothing";
}

}  // namespace folio
