// Errors and checks: every failure says what, where, and what to do.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace folio {

/// The one exception type of the library. what() reads "WHERE: WHAT", for example
/// "linear: weight is (65, 128) but the input's last dimension is 64; they must agree".
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error("where: message"), one line: control characters become \x0a and the like.
[[noreturn]] void fail(std::string_view where, std::string_view message);

}  // namespace folio

/// Throws folio::Error unless `condition` holds. `where` is the op, key or file; the rest is a
/// format string and its arguments: the values seen and the values wanted.
#define FOLIO_CHECK(condition, where, ...)                \
  do {                                                    \
    if (!(condition)) [[unlikely]] {                      \
      ::folio::fail((where), ::fmt::format(__VA_ARGS__)); \
    }                                                     \
  } while (false)
