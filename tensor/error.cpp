#include "folio/tensor/error.h"

namespace folio {
namespace {

/// Names from damaged files appear in messages. Escaped, they cannot break a line or send commands
/// to a terminal.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return result;
}

}  // namespace

Error::Error(std::string_view where, std::string_view message, std::string_view remedy)
    : std::runtime_error(fmt::format("{}: {}{}{}", escaped(where), escaped(message),
                                     remedy.empty() ? "" : "; ", escaped(remedy))),
      where_(where),
      message_(escaped(message)),
      remedy_(escaped(remedy)) {}

void fail(std::string_view where, std::string_view message, std::string_view remedy) {
  throw Error(where, message, remedy);
}

}  // namespace folio
