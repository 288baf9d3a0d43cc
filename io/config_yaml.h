// YAML text of unknown origin to a yaml-cpp node: whatever is wrong with it becomes an Error.
#pragma once

#include <functional>
#include <string>

namespace YAML {
struct Mark;
class Node;
}  // namespace YAML

namespace folio {

/// "where:line:column", counted from 1.
std::string yaml_place(const std::string& where, const YAML::Mark& mark);

/// The only document of `yaml`, null for an empty one; at most 1 MiB of UTF-8. Throws Error: about
/// the bytes beginning with `where`, about the YAML beginning with place(mark).
YAML::Node load_yaml(const std::string& yaml, const std::string& where,
                     const std::function<std::string(const YAML::Mark&)>& place);

}  // namespace folio
