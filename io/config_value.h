// Single values of a config: from YAML, checked, and back. For config_fields.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace YAML {
class Node;
}

namespace folio {

/// Limits of a floating-point value.
struct NumberRange {
  double low, high;
  bool low_included = true, high_included = true;
};

// Each throws Error, beginning with `where`, that says what stands there and what is wanted.

/// A whole number in [low, high], in decimal digits.
int64_t read_integer(const YAML::Node& node, std::string_view where, int64_t low, int64_t high);
/// A whole number of 64 bits.
uint64_t read_unsigned(const YAML::Node& node, std::string_view where);
/// A list of whole numbers in [low, high].
std::vector<int64_t> read_integers(const YAML::Node& node, std::string_view where, int64_t low,
                                   int64_t high);
/// A finite number in `range`.
double read_number(const YAML::Node& node, std::string_view where, const NumberRange& range);
/// A list of exactly two numbers in `range`.
std::vector<double> read_number_pair(const YAML::Node& node, std::string_view where,
                                     const NumberRange& range);
/// true or false.
bool read_boolean(const YAML::Node& node, std::string_view where);
/// Any scalar, as text.
std::string read_string(const YAML::Node& node, std::string_view where,
                        std::string_view wanted = "text");

/// As YAML that read_string() reads back: plain where that is safe, else in double quotes.
std::string write_string(std::string_view text);
/// The shortest form that read_number() reads back to the same value.
std::string write_number(double value);
std::string write_integers(const std::vector<int64_t>& values);

/// For messages: `text` in double quotes, escaped, cut after some 60 bytes.
std::string shown(std::string_view text);
/// For messages: a key as it stands, or shown() if it is no plain word.
std::string shown_key(std::string_view key);
/// For messages: what kind of thing a node is, such as "a list".
std::string kind_of(const YAML::Node& node);

}  // namespace folio
