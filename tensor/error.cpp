#include "folio/tensor/error.h"

namespace folio {

void fail(std::string_view where, std::string_view message) {
  throw Error(fmt::format("{}: {}", where, message));
}

}  // namespace folio
