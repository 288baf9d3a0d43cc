// Memory that takes up addresses and nothing else: for counting what a step would allocate.
#pragma once

#include "folio/tensor/allocator.h"

namespace folio {

/// Of a CPU: it may be written, but every block shares the same few pages, so what is read is
/// meaningless. Of a GPU: it must not be touched, see cuda::DryRun.
const MemorySource& placeholder_memory(Device device);

}  // namespace folio
