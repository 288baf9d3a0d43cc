// Folio's version.
#pragma once

#include <string>

namespace folio {

/// "0.1.0".
std::string folio_version();

}  // namespace folio
