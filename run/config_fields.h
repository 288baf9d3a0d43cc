// The table of everything that a config file can say: what reads, writes, overrides, compares and
// suggests keys goes through it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "folio/run/config.h"

namespace YAML {
class Node;
}

namespace folio {

struct ConfigField {
  std::string section, key;
  std::string comment;  // for readers of a written config
  /// Sets the field. Throws Error, beginning with `where`, for a wrong type or an impossible value.
  std::function<void(Config&, const YAML::Node&, std::string_view where)> read;
  /// The field's value as YAML.
  std::function<std::string(const Config&)> write;

  std::string name() const { return section + '.' + key; }
};

struct ConfigSection {
  std::string name;
  std::string comment;
};

/// What two fields must fulfil together.
struct ConfigRule {
  std::string_view key, other;  // dotted names; the message is about `key`
  /// What is wrong with the two, or "".
  std::function<std::string(const Config&)> complaint;
};

std::span<const ConfigSection> config_sections();
/// In the order of sections.
std::span<const ConfigField> config_fields();
std::span<const ConfigRule> config_rules();

}  // namespace folio
