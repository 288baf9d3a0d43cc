#include "folio/io/version.h"

namespace folio {

std::string folio_version() { return FOLIO_VERSION; }

}  // namespace folio
