#include "folio/io/section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "folio/tensor/error.h"
#include "folio/tensor/nearest.h"

namespace folio {

Field& Section::add(std::string key, std::string comment, decltype(Field::read) read,
                    decltype(Field::write) write) {
  return fields_.emplace_back(
      Field{std::move(key), std::move(comment), std::move(read), std::move(write)});
}

Field& Section::integer(std::string key, int64_t& value, int64_t low, int64_t high,
                        std::string comment) {
  return add(
      std::move(key), std::move(comment),
      [&value, low, high](const YAML::Node& node, std::string_view where) {
        value = read_integer(node, where, low, high);
      },
      [&value] { return std::to_string(value); });
}

Field& Section::integer(std::string key, uint64_t& value, std::string comment) {
  return add(
      std::move(key), std::move(comment),
      [&value](const YAML::Node& node, std::string_view where) {
        value = read_unsigned(node, where);
      },
      [&value] { return std::to_string(value); });
}

Field& Section::integers(std::string key, std::vector<int64_t>& values, int64_t low, int64_t high,
                         std::string comment) {
  return add(
      std::move(key), std::move(comment),
      [&values, low, high](const YAML::Node& node, std::string_view where) {
        values = read_integers(node, where, low, high);
      },
      [&values] { return write_integers(values); });
}

Field& Section::number(std::string key, double& value, const NumberRange& range,
                       std::string comment) {
  return add(
      std::move(key), std::move(comment),
      [&value, range](const YAML::Node& node, std::string_view where) {
        value = read_number(node, where, range);
      },
      [&value] { return write_number(value); });
}

Field& Section::numbers(std::string key, double& first, double& second, const NumberRange& range,
                        std::string comment) {
  return add(
      std::move(key), std::move(comment),
      [&first, &second, range](const YAML::Node& node, std::string_view where) {
        const std::vector<double> pair = read_number_pair(node, where, range);
        first = pair[0];
        second = pair[1];
      },
      [&first, &second] {
        return fmt::format("[{}, {}]", write_number(first), write_number(second));
      });
}

Field& Section::boolean(std::string key, bool& value, std::string comment) {
  return add(
      std::move(key), std::move(comment),
      [&value](const YAML::Node& node, std::string_view where) {
        value = read_boolean(node, where);
      },
      [&value] { return value ? "true" : "false"; });
}

Field& Section::text(std::string key, std::string& value, bool may_be_empty, std::string comment) {
  return add(
      std::move(key), std::move(comment),
      [&value, may_be_empty](const YAML::Node& node, std::string_view where) {
        std::string given =
            read_string(node, where, may_be_empty ? "text, or \"\" for none" : "text");
        FOLIO_CHECK(may_be_empty || !given.empty(), where, "must not be empty");
        value = std::move(given);
      },
      [&value] { return write_string(value); });
}

Field& Section::word(std::string key, std::string& value, const std::vector<std::string>& words,
                     const std::string& comment, const Words<std::string>& refused) {
  return add(
      std::move(key), comment_with_words(comment, words),
      [&value, words, refused](const YAML::Node& node, std::string_view where) {
        value = words[read_word(node, where, words, refused)];
      },
      [&value] { return write_string(value); });
}

void Section::rule(std::string_view key, std::string_view other,
                   std::function<std::string()> complaint) {
  rules_.push_back({dotted(key), dotted(other), std::move(complaint)});
}

std::string Section::dotted(std::string_view key) const {
  return key.find('.') == key.npos ? fmt::format("{}.{}", name_, key) : std::string(key);
}

size_t read_word(const YAML::Node& node, std::string_view where,
                 const std::vector<std::string>& words, const Words<std::string>& refused) {
  const std::string given = read_string(node, where);
  const auto known = std::ranges::find(words, given);
  if (known != words.end()) return static_cast<size_t>(known - words.begin());
  for (const auto& [word, reason] : refused) {
    if (word == given) fail(where, reason);
  }
  const std::string meant = nearest_name(given, words);
  fail(where, fmt::format("{} is not one of: {}{}", shown(given), fmt::join(words, ", "),
                          meant.empty() ? "" : fmt::format("; is {} meant?", meant)));
}

std::string comment_with_words(const std::string& comment, const std::vector<std::string>& words) {
  return fmt::format("{}{}{}", comment, comment.empty() ? "" : ": ", fmt::join(words, " | "));
}

}  // namespace folio
