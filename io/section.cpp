#include "folio/io/section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

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

Field& Section::list(std::string key, std::string comment,
                     std::function<std::vector<Section>(std::optional<size_t>)> bind) {
  return add(
      std::move(key), std::move(comment),
      [bind](const YAML::Node& node, std::string_view where) {
        FOLIO_CHECK(node.IsSequence(), where, "{} is not a list; write [{{KEY: VALUE, ...}}, ...]",
                    kind_of(node));
        std::vector<Section> entries = bind(node.size());
        for (size_t i = 0; i < entries.size(); ++i) {
          entries[i].read(node[i], fmt::format("{}: entry {}", where, i + 1));
        }
      },
      [bind] {
        std::vector<std::string> entries;
        for (const Section& entry : bind({})) entries.push_back(entry.write());
        return fmt::format("[{}]", fmt::join(entries, ", "));
      });
}

void Section::read(const YAML::Node& map, std::string_view where) {
  FOLIO_CHECK(map.IsMap(), where, "{} is not a map of keys to values", kind_of(map));
  std::vector<std::string> keys;
  for (const Field& field : fields_) keys.push_back(field.key);
  std::set<std::string> seen;
  for (const auto& entry : map) {
    const std::string key = read_string(entry.first, where);
    const auto field = std::ranges::find(fields_, key, &Field::key);
    FOLIO_CHECK(field != fields_.end(), where, "unknown key {}; the keys are: {}", shown_key(key),
                fmt::join(keys, ", "));
    FOLIO_CHECK(seen.insert(key).second, where, "{} is given twice; remove one of them", key);
    field->read(entry.second, fmt::format("{}: {}", where, key));
  }
}

std::string Section::write() const {
  std::vector<std::string> pairs;
  for (const Field& field : fields_) pairs.push_back(field.key + ": " + field.write());
  return fmt::format("{{{}}}", fmt::join(pairs, ", "));
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
