// Conversion of single config values from YAML and back.
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

// The read functions throw Error(where, ...), which says what was found and what is expected.

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

/// YAML that read_string() reads back: plain if that is safe, otherwise in double quotes.
std::string write_string(std::string_view text);
/// The shortest form that read_number() reads back to the same value.
std::string write_number(double value);
std::string write_integers(const std::vector<int64_t>& values);

/// `text` for a message: escaped, in double quotes and truncated to about 60 bytes.
std::string shown(std::string_view text);
/// A key for a message: unchanged if it is a plain word, otherwise shown().
std::string shown_key(std::string_view key);
/// The kind of a node for a message, such as "a list".
std::string kind_of(const YAML::Node& node);

}  // namespace folio
