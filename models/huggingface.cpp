#include "folio/models/huggingface.h"

#include <algorithm>
#include <optional>

#include "folio/io/transposed.h"

namespace folio {
namespace {

// What stands in `text` where `pattern` has its #; nothing if they do not fit.
std::optional<std::string_view> block_in(std::string_view text, std::string_view pattern) {
  const size_t mark = pattern.find('#');
  if (mark == pattern.npos) {
    return text == pattern ? std::optional(std::string_view()) : std::nullopt;
  }
  const std::string_view before = pattern.substr(0, mark), after = pattern.substr(mark + 1);
  if (text.size() <= before.size() + after.size() || !text.starts_with(before) ||
      !text.ends_with(after)) {
    return std::nullopt;
  }
  text.remove_prefix(before.size());
  text.remove_suffix(after.size());
  const bool digits = std::ranges::all_of(text, [](char c) { return '0' <= c && c <= '9'; });
  return digits ? std::optional(text) : std::nullopt;
}

struct Translation {
  std::string name;
  bool known = false, transposed = false;
};

Translation translate(std::span<const NameRule> rules, std::string_view name,
                      std::string_view NameRule::*from, std::string_view NameRule::*to) {
  const size_t dot = std::min(name.rfind('.'), name.size());
  const std::string_view leaf = name.substr(dot);
  if (leaf == ".weight" || leaf == ".bias") {
    for (const NameRule& rule : rules) {
      const auto block = block_in(name.substr(0, dot), rule.*from);
      if (!block) continue;
      std::string result(rule.*to);
      if (const size_t mark = result.find('#'); mark != result.npos) {
        result.replace(mark, 1, *block);
      }
      return {result.append(leaf), true, rule.conv1d && leaf == ".weight"};
    }
  }
  return {std::string(name)};
}

}  // namespace

std::string huggingface_name(std::span<const NameRule> rules, std::string_view name) {
  return translate(rules, name, &NameRule::folio, &NameRule::huggingface).name;
}

std::string folio_name(std::span<const NameRule> rules, std::string_view name) {
  return translate(rules, name, &NameRule::huggingface, &NameRule::folio).name;
}

std::vector<NamedTensor> to_huggingface(std::span<const NameRule> rules,
                                        const ParameterStore& parameters) {
  std::vector<NamedTensor> tensors;
  for (const Parameter& parameter : parameters.parameters()) {
    const Translation there =
        translate(rules, parameter.name, &NameRule::folio, &NameRule::huggingface);
    tensors.push_back(
        {there.name, parameter.master, there.transposed && parameter.shape.rank() == 2});
  }
  return tensors;
}

void from_huggingface(std::span<const NameRule> rules, std::vector<NamedTensor>& tensors) {
  for (NamedTensor& entry : tensors) {
    const Translation here = translate(rules, entry.name, &NameRule::huggingface, &NameRule::folio);
    entry.name = here.name;
    if (here.transposed && entry.tensor.shape().rank() == 2) {
      entry.tensor = transposed(entry.tensor);
    }
  }
}

bool is_zero_bias(std::span<const NameRule> rules, const NamedTensor& entry) {
  const bool known = translate(rules, entry.name, &NameRule::folio, &NameRule::huggingface).known;
  if (!known || !entry.name.ends_with(".bias")) return false;
  const auto* bytes = static_cast<const char*>(entry.tensor.raw());
  return std::all_of(bytes, bytes + entry.tensor.bytes(), [](char byte) { return byte == 0; });
}

}  // namespace folio
