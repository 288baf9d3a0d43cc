// What `new` takes from the system, counted byte by byte: linking memory_meter.cpp replaces
// operator new and delete of the whole program. Tensors have an allocator of their own, which is
// added.
#pragma once

#include <cstddef>

namespace folio {

/// Begins to count anew. Beyond `limit` bytes alive at one time `new` throws std::bad_alloc, so
/// that a wrong size cannot take the machine down.
void begin_metering(size_t limit);

/// The most bytes alive at one time since begin_metering(), of those taken since. An allocation
/// that was refused counts.
size_t metered_peak();

}  // namespace folio
