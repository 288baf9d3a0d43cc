// A part of a config whose keys depend on a name: the options of one model family, of one task.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/tensor/error.h"

namespace folio {

/// One entry of the list from which a Variety is chosen.
template <class Options>
struct VarietyEntry {
  std::string_view name;
  std::unique_ptr<Options> (*defaults)();
};

/// Options of one kind out of a list. It copies as a value. `Options` is an abstract class with
/// `std::unique_ptr<Options> clone() const`.
template <class Options>
class Variety {
 public:
  using Entries = std::span<const VarietyEntry<Options>>;

  /// The first entry, with its defaults.
  explicit Variety(Entries entries) : entries_(entries) { choose(entries.front()); }
  Variety(const Variety& other)
      : entries_(other.entries_), name_(other.name_), options_(other.options_->clone()) {}
  Variety& operator=(Variety other) noexcept {
    std::swap(entries_, other.entries_);
    std::swap(name_, other.name_);
    std::swap(options_, other.options_);
    return *this;
  }

  const std::string& name() const { return name_; }
  /// Takes the entry of this name, with its defaults, unless it is the present one. Throws Error,
  /// beginning with `where`, if there is no such entry.
  void choose(std::string_view name, std::string_view where) {
    if (name == name_) return;
    const auto entry = std::ranges::find(entries_, name, &VarietyEntry<Options>::name);
    FOLIO_CHECK(entry != entries_.end(), where, "there is no \"{}\"", name);
    choose(*entry);
  }
  /// The names of all entries.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : entries_) names.emplace_back(entry.name);
    return names;
  }

  Options& operator*() { return *options_; }
  const Options& operator*() const { return *options_; }
  Options* operator->() { return options_.get(); }
  const Options* operator->() const { return options_.get(); }

 private:
  void choose(const VarietyEntry<Options>& entry) {
    name_ = entry.name;
    options_ = entry.defaults();
  }

  Entries entries_;
  std::string name_;
  std::unique_ptr<Options> options_;
};

}  // namespace folio
