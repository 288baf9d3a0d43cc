#include "folio/run/config.h"

#include <fmt/core.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
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

/// The keys that choose which other keys their section has.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> choosers = {
    {{"model", "family"}, {"task", "name"}}};

// Where a field was set.
struct Origin {
  std::string place;  // "configs/x.yaml:4:10" or "--set model.width"
  int order = 0;      // later ones win
};

// A key that a file or an override sets.
struct Assignment {
  std::string section, key;
  YAML::Node value;
  std::string where;      // with which messages about the value begin
  std::string key_where;  // about the key
  Origin origin;
};

// Collects a file and then overrides into one config, and remembers where each field was set.
class Reader {
 public:
  explicit Reader(std::string where) : where_(std::move(where)) {}

  void read_document(const std::string& yaml);
  void override_with(const std::string& assignment);
  /// Sets and checks the fields and gives the config out.
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
  std::map<std::string, Origin> origins_;  // by dotted name
  int order_ = 0;
};

Field* find_field(std::vector<Section>& sections, std::string_view section, std::string_view key) {
  for (Section& candidate : sections) {
    if (candidate.name() != section) continue;
    for (Field& field : candidate.fields()) {
      if (field.key == key) return &field;
    }
  }
  return nullptr;
}

bool is_section(const std::vector<Section>& sections, std::string_view name) {
  return std::ranges::find(sections, name, &Section::name) != sections.end();
}

std::string section_names(const std::vector<Section>& sections) {
  std::string names;
  for (const Section& section : sections) names += (names.empty() ? "" : ", ") + section.name();
  return names;
}

// The field of any section whose key is nearest to `key`, or "".
std::string field_with_key(const std::vector<Section>& sections, std::string_view key) {
  std::vector<std::string> keys;
  for (const Section& section : sections) {
    for (const Field& field : section.fields()) keys.push_back(field.key);
  }
  const std::string meant = nearest_name(key, keys);
  for (const Section& section : sections) {
    for (const Field& field : section.fields()) {
      if (field.key == meant) return fmt::format("{}.{}", section.name(), field.key);
    }
  }
  return "";
}

[[noreturn]] void fail_unknown(std::string_view where, std::string_view what,
                               const std::string& meant, const std::string& otherwise) {
  fail(where, fmt::format("unknown {}; {}", what,
                          meant.empty() ? otherwise : fmt::format("is {} meant?", meant)));
}

[[noreturn]] void fail_unknown_section(const std::vector<Section>& sections, std::string_view where,
                                       std::string_view name) {
  std::vector<std::string> names;
  for (const Section& section : sections) names.push_back(section.name());
  std::string meant = nearest_name(name, names);
  if (meant.empty()) meant = field_with_key(sections, name);
  fail_unknown(where, "section", meant, "the sections are: " + section_names(sections));
}

[[noreturn]] void fail_unknown_key(const std::vector<Section>& sections, std::string_view where,
                                   std::string_view section, std::string_view key) {
  std::vector<std::string> keys;
  std::string all;
  for (const Field& field : std::ranges::find(sections, section, &Section::name)->fields()) {
    keys.push_back(field.key);
    all += (all.empty() ? "" : ", ") + field.key;
  }
  std::string meant = nearest_name(key, keys);
  meant = meant.empty() ? field_with_key(sections, key) : fmt::format("{}.{}", section, meant);
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
              kind_of(root), section_names(sections_));
  std::map<std::string, int> seen;
  for (const auto& entry : root) {
    const std::string& section = key_of(entry.first, seen, "");
    if (!is_section(sections_, section)) {
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
  if (!is_section(sections_, section)) fail_unknown_section(sections_, place, section);
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
  Field* const field = find_field(sections_, assignment.section, assignment.key);
  if (field == nullptr) {
    fail_unknown_key(sections_, assignment.key_where, assignment.section, assignment.key);
  }
  field->read(assignment.value, assignment.where);
  origins_[fmt::format("{}.{}", assignment.section, assignment.key)] = assignment.origin;
}

void Reader::check_rules() const {
  for (const Section& section : sections_) {
    for (const FieldRule& rule : section.rules()) {
      const std::string complaint = rule.complaint();
      if (complaint.empty()) continue;
      // The key that was set last is to blame, the rule's own where both were set together.
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
  const auto chooses = [](const Assignment& assignment) {
    return std::ranges::find(choosers, std::pair<std::string_view, std::string_view>(
                                           assignment.section, assignment.key)) != choosers.end();
  };
  for (const Assignment& assignment : assignments_) {
    if (chooses(assignment)) apply(assignment);
  }
  sections_ = sections_of(config_);  // of the family and the task that were chosen
  for (const Assignment& assignment : assignments_) {
    if (!chooses(assignment)) apply(assignment);
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
  std::vector<Section> of_a = sections_of(bound_a), of_b = sections_of(bound_b);
  std::vector<KeyDifference> result;
  // The keys of a, with their values in b, and then those that b has alone.
  const auto collect = [&](std::vector<Section>& first, std::vector<Section>& second,
                           bool swapped) {
    for (Section& section : first) {
      for (const Field& field : section.fields()) {
        const Field* const other = find_field(second, section.name(), field.key);
        if (swapped && other != nullptr) continue;
        std::string value = field.write(), there = other != nullptr ? other->write() : "";
        if (value == there) continue;
        if (swapped) std::swap(value, there);
        result.push_back({fmt::format("{}.{}", section.name(), field.key), std::move(value),
                          std::move(there), field.may_change, field.compared});
      }
    }
  };
  collect(of_a, of_b, false);
  collect(of_b, of_a, true);
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
