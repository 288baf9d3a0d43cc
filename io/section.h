// A section of a config: each component binds its own members to keys, once, and reading, writing,
// documenting and comparing configs all go through these bindings.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/io/yaml_value.h"

namespace YAML {
class Node;
}

namespace folio {

/// Limits that keep every product of sizes below 2^63, and steps within the 32 bits that random
/// numbers have for them.
inline constexpr int64_t most_layers = 1000, most_heads = 1000, most_width = 100'000;
inline constexpr int64_t most_context = 100'000, most_batch = 100'000;
inline constexpr int64_t most_steps = 4'000'000'000;

inline constexpr NumberRange fraction{0.0, 1.0, true, false};
inline constexpr NumberRange at_least_0{0.0, 1e6};
inline constexpr NumberRange above_0{0.0, 1e6, false, true};

/// A key that is bound to a member of a struct.
struct Field {
  std::string key, comment;
  /// Sets the member. Throws Error, beginning with `where`, for a wrong type or an impossible
  /// value.
  std::function<void(const YAML::Node& node, std::string_view where)> read;
  /// The member's value as YAML.
  std::function<std::string()> write;
  bool may_change = false;  // when a run is resumed
  bool compared = true;     // whether two runs that differ in it were trained differently

  /// A resumed run may change the value.
  Field& changeable() { return may_change = true, *this; }
  /// The value does not decide what is learned: it concerns reports, resources or the machine.
  Field& incidental() { return compared = false, *this; }
};

/// A condition on two keys of the config, which may belong to different sections.
struct FieldRule {
  std::string key, other;                  // dotted names; the message is about `key`
  std::function<std::string()> complaint;  // what is wrong with the two values, or ""
};

/// Words for the values of an enumeration.
template <class T>
using Words = std::vector<std::pair<std::string, T>>;

/// The bindings refer to the members: a Section must not outlive them.
class Section {
 public:
  Section(std::string name, std::string comment)
      : name_(std::move(name)), comment_(std::move(comment)) {}

  const std::string& name() const { return name_; }
  const std::string& comment() const { return comment_; }
  std::vector<Field>& fields() { return fields_; }
  const std::vector<Field>& fields() const { return fields_; }
  const std::vector<FieldRule>& rules() const { return rules_; }

  /// A whole number in [low, high].
  Field& integer(std::string key, int64_t& value, int64_t low, int64_t high, std::string comment);
  /// A whole number of 64 bits.
  Field& integer(std::string key, uint64_t& value, std::string comment);
  Field& integers(std::string key, std::vector<int64_t>& values, int64_t low, int64_t high,
                  std::string comment);
  Field& number(std::string key, double& value, const NumberRange& range, std::string comment);
  /// A list of two numbers.
  Field& numbers(std::string key, double& first, double& second, const NumberRange& range,
                 std::string comment);
  Field& boolean(std::string key, bool& value, std::string comment);
  /// Any text, which may be empty if `may_be_empty`.
  Field& text(std::string key, std::string& value, bool may_be_empty, std::string comment);
  /// One of several words. `refused` are words that another build or version knows, each with the
  /// reason why this one refuses it.
  Field& word(std::string key, std::string& value, const std::vector<std::string>& words,
              const std::string& comment, const Words<std::string>& refused = {});
  template <class T>
  Field& choice(const std::string& key, T& value, const Words<T>& words,
                const std::string& comment);
  /// A list of maps. Each entry binds its own keys with T::bind(Section&).
  template <class T>
  Field& list(const std::string& key, std::vector<T>& entries, const std::string& comment);
  Field& add(std::string key, std::string comment, decltype(Field::read) read,
             decltype(Field::write) write);

  /// Sets fields from a map of keys to values. Throws Error for an unknown key.
  void read(const YAML::Node& map, std::string_view where);
  /// All fields as YAML in one line: "{key: value, ...}".
  std::string write() const;

  /// `key` and `other` are keys of this section, or dotted names of another's.
  void rule(std::string_view key, std::string_view other, std::function<std::string()> complaint);

 private:
  /// `bind(count)` makes `count` new entries, if a count is given, and returns the bound entries.
  Field& list(std::string key, std::string comment,
              std::function<std::vector<Section>(std::optional<size_t> count)> bind);
  std::string dotted(std::string_view key) const;

  std::string name_, comment_;
  std::vector<Field> fields_;
  std::vector<FieldRule> rules_;
};

/// The number of the word in `words` that stands in `node`. Throws Error that lists the words.
size_t read_word(const YAML::Node& node, std::string_view where,
                 const std::vector<std::string>& words, const Words<std::string>& refused);
/// "COMMENT: a | b | c".
std::string comment_with_words(const std::string& comment, const std::vector<std::string>& words);

template <class T>
Field& Section::choice(const std::string& key, T& value, const Words<T>& words,
                       const std::string& comment) {
  std::vector<std::string> names;
  for (const auto& [name, meaning] : words) names.push_back(name);
  return add(
      key, comment_with_words(comment, names),
      [&value, words, names](const YAML::Node& node, std::string_view where) {
        value = words[read_word(node, where, names, {})].second;
      },
      [&value, words]() -> std::string {
        for (const auto& [name, meaning] : words) {
          if (meaning == value) return write_string(name);
        }
        return {};
      });
}

template <class T>
Field& Section::list(const std::string& key, std::vector<T>& entries, const std::string& comment) {
  return list(key, comment, [&entries](std::optional<size_t> count) {
    if (count) entries.assign(*count, T());
    std::vector<Section> sections;
    for (T& entry : entries) entry.bind(sections.emplace_back("", ""));
    return sections;
  });
}

}  // namespace folio
