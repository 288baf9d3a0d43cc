// Collectives by NCCL, for tensors on GPUs.
#pragma once

#include <memory>

#include "folio/comm/mpi.h"

namespace folio {

/// Uses NCCL for tensors on GPUs, and `host` for tensors on the host and for timeouts. NCCL is
/// initialized by the first collective on a GPU.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host);

}  // namespace folio
