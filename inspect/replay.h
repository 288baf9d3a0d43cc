// The `replay` verb: a refused step again, from its bundle alone.
#pragma once

#include <filesystem>

namespace folio {

/// Reads the bundle (see read_bundle()), repeats its step and prints the report. Throws Error for a
/// bundle that is damaged, or if another op or layer is found than was recorded.
void replay(const std::filesystem::path& path);

}  // namespace folio
