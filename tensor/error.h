// Errors and checks: every message says what is wrong, where, and what to do.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace folio {

/// The one exception type of the library. what() is "WHERE: MESSAGE" or, with a remedy,
/// "WHERE: MESSAGE; REMEDY". Example: "linear: weight is (65, 128) but the input's last dimension
/// is 64; they must agree". All parts are single lines: control characters become \x0a and the
/// like.
class Error : public std::runtime_error {
 public:
  Error(std::string_view where, std::string_view message, std::string_view remedy = {});

  /// The op, config key or file.
  const std::string& where() const { return where_; }
  /// What is wrong; most messages include the remedy.
  const std::string& message() const { return message_; }
  /// What to do about it, where it was given separately.
  const std::string& remedy() const { return remedy_; }

 private:
  std::string where_, message_, remedy_;
};

/// Throws Error.
[[noreturn]] void fail(std::string_view where, std::string_view message,
                       std::string_view remedy = {});

}  // namespace folio

/// Throws folio::Error unless `condition` holds. `where` is the op, key or file; the rest is a
/// format string and its arguments: the values seen and the values wanted.
#define FOLIO_CHECK(condition, where, ...)                \
  do {                                                    \
    if (!(condition)) [[unlikely]] {                      \
      ::folio::fail((where), ::fmt::format(__VA_ARGS__)); \
    }                                                     \
  } while (false)
