#include "folio/tensor/error.h"

namespace folio {

void fail(std::string_view where, std::string_view message) {
  std::string text;
  for (char c : fmt::format("{}: {}", where, message)) {
    // Names out of damaged files come here too. They may break no line and command no terminal.
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  throw Error(text);
}

}  // namespace folio
