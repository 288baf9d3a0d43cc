// Parses untrusted YAML with yaml-cpp and reports every problem as an Error.
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

/// The only document of `yaml`; a null node if it is empty. Throws Error: at `where` for text that
/// is not UTF-8 or longer than 1 MiB, at place(mark) for invalid YAML.
YAML::Node load_yaml(const std::string& yaml, const std::string& where,
                     const std::function<std::string(const YAML::Mark&)>& place);

}  // namespace folio
