// NCCL carries the messages of GPUs.
#pragma once

#include <memory>

#include "folio/comm/mpi.h"

namespace folio {

/// `host` carries what lies on the host, and is who waits; NCCL, which is started by the first
/// tensor of a GPU, carries theirs.
std::unique_ptr<Communicator> with_nccl(std::unique_ptr<PatientCommunicator> host);

}  // namespace folio
