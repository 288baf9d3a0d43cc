#include "folio/run/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "folio/data/corpus.h"
#include "folio/io/files.h"
#include "folio/io/yaml.h"
#include "folio/io/yaml_value.h"
#include "folio/tensor/error.h"
#include "folio/tensor/nearest.h"

namespace folio {
namespace {

/// Where a field was set.
struct Origin {
  std::string place;  // "configs/x.yaml:4:10" or "--set model.width"
  int order = 0;      // later ones override earlier ones
};

/// A key that a file or an override sets.
struct Assignment {
  std::string section, key;
  YAML::Node value;
  std::string where;      // for messages about the value
  std::string key_where;  // for messages about the key
  Origin origin;

  std::string name() const { return fmt::format("{}.{}", section, key); }
  /// Whether the key selects which other keys its section has.
  bool selects() const { return name() == "model.family" || name() == "task.name"; }
};

/// Reads a file and then overrides into one config, and records where each field was set.
class Reader {
 public:
  explicit Reader(std::string where) : where_(std::move(where)) {}

  void read_document(const std::string& yaml);
  void override_with(const std::string& assignment);
  /// Sets and checks the fields.
  Config finish();

 private:
  std::string place(const YAML::Mark& mark) const { return yaml_place(where_, mark); }
  void read_section(const std::string& section, const YAML::Node& node);
  const std::string& key_of(const YAML::Node& node, std::map<std::string, int>& seen,
                            std::string_view prefix) const;
  void apply(const Assignment& assignment);
  void check_rules() const;

  std::string where_;
  Config config_;
  std::vector<Section> sections_ = sections_of(config_);
  std::vector<Assignment> assignments_;
  std::map<std::string, Origin> origins_;  // by "section.key"
  int order_ = 0;
};

const Section* find_section(const std::vector<Section>& sections, std::string_view name) {
  const auto found = std::ranges::find(sections, name, &Section::name);
  return found == sections.end() ? nullptr : &*found;
}

const Field* find_field(const std::vector<Section>& sections, std::string_view section,
                        std::string_view key) {
  const Section* const in = find_section(sections, section);
  if (in == nullptr) return nullptr;
  const auto found = std::ranges::find(in->fields(), key, &Field::key);
  return found == in->fields().end() ? nullptr : &*found;
}

std::vector<std::string> names_of(const std::vector<Section>& sections) {
  std::vector<std::string> names;
  for (const Section& section : sections) names.push_back(section.name());
  return names;
}

std::vector<std::string> keys_of(const Section& section) {
  std::vector<std::string> keys;
  for (const Field& field : section.fields()) keys.push_back(field.key);
  return keys;
}

/// Throws Error for an unknown name. Suggests the nearest of `names`, with `prefix`, or else the
/// nearest key of any section, or else lists the names.
[[noreturn]] void fail_unknown(std::string_view where, std::string_view kind, std::string_view name,
                               const std::vector<std::string>& names, const std::string& prefix,
                               const std::vector<Section>& sections) {
  std::string meant = nearest_name(name, names);
  if (!meant.empty()) fail(where, fmt::format("unknown {}; is {}{} meant?", kind, prefix, meant));
  std::vector<std::string> keys;
  for (const Section& section : sections) std::ranges::copy(keys_of(section), back_inserter(keys));
  meant = nearest_name(name, keys);
  for (const Section& section : sections) {
    FOLIO_CHECK(find_field(sections, section.name(), meant) == nullptr, where,
                "unknown {}; is {}.{} meant?", kind, section.name(), meant);
  }
  fail(where, fmt::format("unknown {}; the {}s{} are: {}", kind, kind,
                          prefix.empty() ? "" : " of " + prefix.substr(0, prefix.size() - 1),
                          fmt::join(names, ", ")));
}

[[noreturn]] void fail_unknown_section(const std::vector<Section>& sections, std::string_view where,
                                       std::string_view name) {
  fail_unknown(where, "section", name, names_of(sections), "", sections);
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
              kind_of(root), fmt::join(names_of(sections_), ", "));
  std::map<std::string, int> seen;
  for (const auto& entry : root) {
    const std::string& section = key_of(entry.first, seen, "");
    if (find_section(sections_, section) == nullptr) {
      fail_unknown_section(
          sections_, fmt::format("{}: {}", place(entry.first.Mark()), shown_key(section)), section);
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
    const std::string value_place = place(entry.second.Mark());
    assignments_.push_back(
        {section,
         key,
         entry.second,
         fmt::format("{}: {}.{}", value_place, section, key),
         fmt::format("{}: {}.{}", place(entry.first.Mark()), section, shown_key(key)),
         {value_place, order_}});
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
  if (find_section(sections_, section) == nullptr) fail_unknown_section(sections_, place, section);
  const std::string key = dot == std::string::npos ? "" : name.substr(dot + 1);
  const std::string value = assignment.substr(equals + 1);
  assignments_.push_back({section,
                          key,
                          load_yaml(value, place, [&place](const YAML::Mark&) { return place; }),
                          place,
                          place,
                          {place, order_}});
}

void Reader::apply(const Assignment& assignment) {
  const auto& [section, key, value, where, key_where, origin] = assignment;
  const Field* const field = find_field(sections_, section, key);
  if (field == nullptr) {
    fail_unknown(key_where, "key", key, keys_of(*find_section(sections_, section)), section + ".",
                 sections_);
  }
  field->read(value, where);
  origins_[assignment.name()] = origin;
}

void Reader::check_rules() const {
  for (const Section& section : sections_) {
    for (const FieldRule& rule : section.rules()) {
      const std::string complaint = rule.complaint();
      if (complaint.empty()) continue;
      // The message is about the key that was set last or, if neither was, the rule's own.
      const auto own = origins_.find(rule.key);
      const auto other = origins_.find(rule.other);
      auto blamed = own;
      if (own == origins_.end() ||
          (other != origins_.end() && other->second.order > own->second.order)) {
        blamed = other;
      }
      std::string where = blamed == origins_.end() ? where_ : blamed->second.place;
      if (where != fmt::format("--set {}", rule.key))
        where = fmt::format("{}: {}", where, rule.key);
      fail(where, complaint);
    }
  }
}

Config Reader::finish() {
  for (const Assignment& assignment : assignments_) {
    if (assignment.selects()) apply(assignment);
  }
  sections_ = sections_of(config_);  // with the keys of the selected family and task
  for (const Assignment& assignment : assignments_) {
    if (!assignment.selects()) apply(assignment);
  }
  config_.schedule.steps = config_.train.steps;
  check_rules();
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

std::vector<Section> sections_of(Config& config) {
  std::vector<Section> sections;
  sections.reserve(6);
  config.data.bind(sections.emplace_back("data", "The text, and how batches are drawn from it."));
  config.model.bind(sections.emplace_back("model", "The model."));
  config.task.bind(sections.emplace_back("task", "What it is trained to do."));
  config.train.bind(sections.emplace_back("train", "The run."));
  config.optimizer.bind(sections.emplace_back("optimizer", "How gradients move the weights."),
                        config.schedule.lr);
  config.schedule.bind(sections.emplace_back("schedule", "The learning rate over the run."));
  return sections;
}

std::string to_yaml(const Config& config) {
  constexpr size_t comment_column = 36;
  Config bound = config;
  std::string yaml;
  for (const Section& section : sections_of(bound)) {
    yaml +=
        fmt::format("{}# {}\n{}:\n", yaml.empty() ? "" : "\n", section.comment(), section.name());
    for (const Field& field : section.fields()) {
      yaml += fmt::format("{:<{}}  # {}\n", fmt::format("  {}: {}", field.key, field.write()),
                          comment_column, field.comment);
    }
  }
  return yaml;
}

std::vector<KeyDifference> differences(const Config& a, const Config& b) {
  Config bound_a = a, bound_b = b;
  const std::vector<Section> of_a = sections_of(bound_a), of_b = sections_of(bound_b);
  std::vector<KeyDifference> result;
  const auto compare = [&](const Section& section, const Field& field, const std::string& value_a,
                           const std::string& value_b) {
    if (value_a == value_b) return;
    result.push_back({fmt::format("{}.{}", section.name(), field.key), value_a, value_b,
                      field.may_change, field.compared});
  };
  for (const Section& section : of_a) {
    for (const Field& field : section.fields()) {
      const Field* const other = find_field(of_b, section.name(), field.key);
      compare(section, field, field.write(), other != nullptr ? other->write() : "");
    }
  }
  for (const Section& section : of_b) {
    for (const Field& field : section.fields()) {
      const bool only_b = find_field(of_a, section.name(), field.key) == nullptr;
      if (only_b) compare(section, field, "", field.write());
    }
  }
  return result;
}

std::vector<std::string> differing_keys(const Config& a, const Config& b) {
  std::vector<std::string> names;
  for (KeyDifference& difference : differences(a, b)) names.push_back(std::move(difference.key));
  return names;
}

TaskInputs task_inputs(const Config& config) {
  return {.data = config.data,
          .context = config.model.context(),
          .batch = config.train.batch,
          .seed = config.train.seed,
          .label_smoothing = config.train.label_smoothing};
}

std::unique_ptr<Task> make_task(const Config& config) {
  return config.task.kind->make(task_inputs(config));
}

std::unique_ptr<Model> make_model(const Config& config, const Scope& scope, int64_t vocabulary) {
  return config.model.family->make(scope,
                                   {.vocabulary = vocabulary, .recompute = config.train.recompute});
}

}  // namespace folio
