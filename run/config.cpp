#include "folio/run/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>

#include "folio/data/corpus.h"
#include "folio/io/config_value.h"
#include "folio/io/config_yaml.h"
#include "folio/run/config_fields.h"
#include "folio/tensor/error.h"
#include "folio/tensor/nearest.h"

namespace folio {
namespace {

// Where a field was set.
struct Origin {
  std::string place;  // "configs/x.yaml:4:10" or "--set model.width"
  int order = 0;      // later ones win
};

// Collects a file and then overrides into one config, and remembers where each field was set.
class Reader {
 public:
  explicit Reader(std::string where) : where_(std::move(where)) {}

  void read_document(const std::string& yaml);
  void override_with(const std::string& assignment);
  /// Checks the fields together and gives the config out.
  Config finish();

 private:
  std::string place(const YAML::Mark& mark) const { return yaml_place(where_, mark); }
  void read_section(const std::string& section, const YAML::Node& node);
  const std::string& key_of(const YAML::Node& node, std::map<std::string, int>& seen,
                            std::string_view prefix) const;

  std::string where_;
  Config config_;
  std::map<std::string, Origin> origins_;  // by dotted name
  int order_ = 0;
};

const ConfigField* find_field(std::string_view section, std::string_view key) {
  for (const ConfigField& field : config_fields()) {
    if (field.section == section && field.key == key) return &field;
  }
  return nullptr;
}

bool is_section(std::string_view name) {
  return std::ranges::any_of(config_sections(),
                             [name](const ConfigSection& section) { return section.name == name; });
}

std::string section_names() {
  std::string names;
  for (const ConfigSection& section : config_sections()) {
    names += (names.empty() ? "" : ", ") + section.name;
  }
  return names;
}

// The field of any section whose key is nearest to `key`, or "".
std::string field_with_key(std::string_view key) {
  std::vector<std::string> keys;
  for (const ConfigField& field : config_fields()) keys.push_back(field.key);
  const std::string meant = nearest_name(key, keys);
  for (const ConfigField& field : config_fields()) {
    if (field.key == meant) return field.name();
  }
  return "";
}

[[noreturn]] void fail_unknown(std::string_view where, std::string_view what,
                               const std::string& meant, const std::string& otherwise) {
  fail(where, fmt::format("unknown {}; {}", what,
                          meant.empty() ? otherwise : fmt::format("is {} meant?", meant)));
}

[[noreturn]] void fail_unknown_section(std::string_view where, std::string_view name) {
  std::vector<std::string> sections;
  for (const ConfigSection& section : config_sections()) sections.push_back(section.name);
  std::string meant = nearest_name(name, sections);
  if (meant.empty()) meant = field_with_key(name);
  fail_unknown(where, "section", meant, "the sections are: " + section_names());
}

[[noreturn]] void fail_unknown_key(std::string_view where, std::string_view section,
                                   std::string_view key) {
  std::vector<std::string> keys;
  std::string all;
  for (const ConfigField& field : config_fields()) {
    if (field.section != section) continue;
    keys.push_back(field.key);
    all += (all.empty() ? "" : ", ") + field.key;
  }
  std::string meant = nearest_name(key, keys);
  meant = meant.empty() ? field_with_key(key) : fmt::format("{}.{}", section, meant);
  fail_unknown(where, "key", meant, fmt::format("the keys of {} are: {}", section, all));
}

const std::string& Reader::key_of(const YAML::Node& node, std::map<std::string, int>& seen,
                                  std::string_view prefix) const {
  FOLIO_CHECK(node.IsScalar(), place(node.Mark()), "{} is not a key; a key is a name",
              kind_of(node));
  const auto [first, is_new] = seen.emplace(node.Scalar(), node.Mark().line + 1);
  FOLIO_CHECK(is_new, place(node.Mark()), "{}{}: given twice, first in line {}; remove one of them",
              prefix, shown_key(node.Scalar()), first->second);
  return node.Scalar();
}

void Reader::read_document(const std::string& yaml) {
  const YAML::Node root =
      load_yaml(yaml, where_, [this](const YAML::Mark& mark) { return place(mark); });
  if (root.IsNull()) return;
  FOLIO_CHECK(root.IsMap(), place(root.Mark()), "found {} where the sections {} belong",
              kind_of(root), section_names());
  std::map<std::string, int> seen;
  for (const auto& entry : root) {
    const std::string& section = key_of(entry.first, seen, "");
    if (!is_section(section)) {
      fail_unknown_section(fmt::format("{}: {}", place(entry.first.Mark()), shown_key(section)),
                           section);
    }
    read_section(section, entry.second);
  }
}

void Reader::read_section(const std::string& section, const YAML::Node& node) {
  if (node.IsNull()) return;
  FOLIO_CHECK(node.IsMap(), fmt::format("{}: {}", place(node.Mark()), section),
              "found {} where the keys of the section belong", kind_of(node));
  std::map<std::string, int> seen;
  for (const auto& entry : node) {
    const std::string& key = key_of(entry.first, seen, section + '.');
    const ConfigField* field = find_field(section, key);
    if (field == nullptr) {
      fail_unknown_key(fmt::format("{}: {}.{}", place(entry.first.Mark()), section, shown_key(key)),
                       section, key);
    }
    const std::string value_place = place(entry.second.Mark());
    field->read(config_, entry.second, fmt::format("{}: {}", value_place, field->name()));
    origins_[field->name()] = {value_place, order_};
  }
}

void Reader::override_with(const std::string& assignment) {
  ++order_;
  const size_t equals = assignment.find('=');
  const std::string name = assignment.substr(0, equals);
  const std::string place = "--set " + shown_key(name);
  FOLIO_CHECK(equals != std::string::npos, place,
              "there is no value; write --set section.key=value");
  const size_t dot = name.find('.');
  const std::string section = name.substr(0, dot);
  if (!is_section(section)) fail_unknown_section(place, section);
  const std::string key = dot == std::string::npos ? "" : name.substr(dot + 1);
  const ConfigField* field = find_field(section, key);
  if (field == nullptr) fail_unknown_key(place, section, key);
  const std::string value = assignment.substr(equals + 1);
  field->read(config_, load_yaml(value, place, [&place](const YAML::Mark&) { return place; }),
              place);
  origins_[field->name()] = {place, order_};
}

Config Reader::finish() {
  config_.schedule.steps = config_.train.steps;
  for (const ConfigRule& rule : config_rules()) {
    const std::string complaint = rule.complaint(config_);
    if (complaint.empty()) continue;
    // Whichever was set last is to blame, the rule's own key where both were set together.
    const auto own = origins_.find(std::string(rule.key));
    const auto other = origins_.find(std::string(rule.other));
    auto blamed = own;
    if (own == origins_.end() ||
        (other != origins_.end() && other->second.order > own->second.order)) {
      blamed = other;
    }
    std::string where = blamed == origins_.end() ? where_ : blamed->second.place;
    if (where != fmt::format("--set {}", rule.key)) where = fmt::format("{}: {}", where, rule.key);
    fail(where, complaint);
  }
  return config_;
}

}  // namespace

Config parse_config(const std::string& yaml, const std::string& where,
                    const std::vector<std::string>& overrides) {
  Reader reader(where);
  reader.read_document(yaml);
  for (const std::string& assignment : overrides) reader.override_with(assignment);
  return reader.finish();
}

Config load_config(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  return parse_config(read_file(path), path.string(), overrides);
}

std::string to_yaml(const Config& config) {
  constexpr size_t comment_column = 36;
  std::string yaml;
  for (const ConfigSection& section : config_sections()) {
    yaml += fmt::format("{}# {}\n{}:\n", yaml.empty() ? "" : "\n", section.comment, section.name);
    for (const ConfigField& field : config_fields()) {
      if (field.section != section.name) continue;
      yaml += fmt::format("{:<{}}  # {}\n", fmt::format("  {}: {}", field.key, field.write(config)),
                          comment_column, field.comment);
    }
  }
  return yaml;
}

std::vector<std::string> differing_keys(const Config& a, const Config& b) {
  std::vector<std::string> names;
  for (const ConfigField& field : config_fields()) {
    if (field.write(a) != field.write(b)) names.push_back(field.name());
  }
  return names;
}

}  // namespace folio
