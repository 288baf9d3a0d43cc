// Runs a function at the end of a scope, also when an exception leaves it.
#pragma once

#include <utility>

namespace folio {

/// Example: const ScopeExit restore([before = threads()] { set_threads(before); });
template <class Function>
class ScopeExit {
 public:
  explicit ScopeExit(Function function) : function_(std::move(function)) {}
  ~ScopeExit() { function_(); }
  ScopeExit(const ScopeExit&) = delete;
  ScopeExit& operator=(const ScopeExit&) = delete;

 private:
  Function function_;
};

}  // namespace folio
