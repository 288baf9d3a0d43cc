// A communicator for tensors in GPU memory, by NCCL.
#pragma once

#include <memory>

#include "folio/comm/mpi.h"

namespace folio {

/// NCCL, which is initialized with the first collective of GPU tensors, carries those; `host`
/// carries tensors in host memory and does the waiting.
std::unique_ptr<Communicator> with_nccl(std::unique_ptr<HostCommunicator> host);

}  // namespace folio
