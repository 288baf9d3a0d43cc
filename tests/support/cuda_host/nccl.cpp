// The double of NCCL, over real processes (nccl_links.h), as unkind as its documentation allows:
// - nothing is sent before something waits for the stream that it was put on, and a message is done
//   only when the other side has taken it: what would deadlock outside a group does;
// - a communicator does not block: of what was started with it nothing is on the stream, and
// nothing
//   else may be called, before ncclCommGetAsyncError was asked so often that it says ncclSuccess;
// - it computes on device memory alone; two ranks have two GPUs;
// - ranks that do not call the same, or not with the same counts and types, are told;
// - of a rank that is gone ncclCommGetAsyncError tells, and nothing else ends.
#include <nccl.h>
#include <string.h>

#include <fstream>
#include <iomanip>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "nccl_links.h"
#include "state.h"

using namespace cuda_host;

namespace {

/// One message of a call, or a copy of this rank's own where peer is -1.
struct Exchange {
  bool sends = false;
  int peer = -1;
  MessageHead head;
  const void* from = nullptr;
  void* to = nullptr;
  bool done = false;
};

}  // namespace

struct ncclComm {
  ncclComm(std::string name, int ranks, int rank)
      : ranks(ranks), rank(rank), links(std::move(name), ranks, rank, machine_device()) {}

  int ranks, rank;
  Links links;
  ncclResult_t state = ncclInProgress;
  bool joined = false, finalized = false;
  int questions = 0;  // since something was started
  std::vector<Exchange> started;
  cudaStream_t stream = nullptr;  // of what was started
  std::string last_error;

  ncclResult_t refuse(ncclResult_t result, const std::string& why) {
    last_error = why;
    return result;
  }
};

namespace {

struct Group {
  int depth = 0;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  std::vector<Exchange> exchanges;
  ncclResult_t error = ncclSuccess;
} group;

size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclFloat32:
      return 4;
    case ncclFloat64:
      return 8;
  }
  return 0;
}

/// What runs on the stream: whether all exchanges are done.
bool attempt(ncclComm& comm, std::vector<Exchange>& exchanges, bool& begun) {
  if (!begun) {
    const DeviceAccess access;
    for (Exchange& exchange : exchanges) {
      if (exchange.peer < 0) {
        memmove(exchange.to, exchange.from, exchange.head.bytes);
        exchange.done = true;
      } else if (exchange.sends) {
        comm.links.send(exchange.peer, exchange.head, exchange.from);
      }
    }
    begun = true;
  }
  comm.links.progress();
  std::optional<DeviceAccess> access;
  bool done = true;
  std::map<int, bool> waits;  // for an earlier message of that peer
  for (Exchange& exchange : exchanges) {
    if (!exchange.done && exchange.sends) {
      done = done && comm.links.taken(exchange.peer) >= comm.links.sent(exchange.peer);
    }
    if (exchange.done || exchange.sends) continue;
    Message message;
    if (waits[exchange.peer] || !comm.links.receive(exchange.peer, message)) {
      waits[exchange.peer] = true;
      done = false;
      continue;
    }
    if (message.head != exchange.head) {
      throw DeviceError{cudaErrorLaunchFailure, "rank " + std::to_string(comm.rank) +
                                                    " waits for a " + exchange.head.describe() +
                                                    ", but rank " + std::to_string(exchange.peer) +
                                                    " sends a " + message.head.describe()};
    }
    if (!access) access.emplace();
    memcpy(exchange.to, message.bytes.data(), message.bytes.size());
    exchange.done = true;
  }
  return comm.links.progress() && done;
}

/// Puts what was started on its stream.
void put_on_stream(ncclComm& comm) {
  auto exchanges = std::make_shared<std::vector<Exchange>>(std::move(comm.started));
  comm.started.clear();
  auto begun = std::make_shared<bool>(false);
  put_patient(comm.stream, "NCCL",
              [&comm, exchanges, begun] { return attempt(comm, *exchanges, *begun); });
}

ncclResult_t end_group() {
  Group ended = std::move(group);
  group = {};
  if (ended.error != ncclSuccess || ended.comm == nullptr) return ended.error;
  ended.comm->started = std::move(ended.exchanges);
  ended.comm->stream = ended.stream;
  ended.comm->questions = 0;
  return ended.comm->state = ncclInProgress;
}

/// Adds to the group that is open, or makes one of its own.
ncclResult_t call(ncclComm_t comm, cudaStream_t stream, std::vector<Exchange> exchanges) {
  const bool alone = group.depth == 0;
  const auto judge = [&]() -> ncclResult_t {
    if (comm == nullptr || stream == nullptr) return ncclInvalidArgument;
    if (comm->state != ncclSuccess && comm->state != ncclInProgress) return comm->state;
    if (comm->state == ncclInProgress) {
      return comm->refuse(ncclInvalidUsage, "called before ncclCommGetAsyncError said ncclSuccess");
    }
    if (group.comm != nullptr && (group.comm != comm || group.stream != stream)) {
      return comm->refuse(ncclInvalidUsage, "a group of several streams is not doubled");
    }
    for (const Exchange& exchange : exchanges) {
      const bool self = exchange.peer == comm->rank || exchange.peer >= comm->ranks;
      if (self || exchange.head.bytes == 0) {
        return comm->refuse(ncclInvalidArgument, "a message to itself, to nobody, or of nothing");
      }
      if ((exchange.from != nullptr && !is_device_memory(exchange.from, exchange.head.bytes)) ||
          (exchange.to != nullptr && !is_device_memory(exchange.to, exchange.head.bytes))) {
        return comm->refuse(ncclInvalidArgument, "memory that is not the device's");
      }
    }
    return ncclSuccess;
  };
  if (const ncclResult_t error = judge()) {
    if (!alone) group.error = error;
    return error;
  }
  group.comm = comm;
  group.stream = stream;
  group.exchanges.insert(group.exchanges.end(), exchanges.begin(), exchanges.end());
  return alone ? end_group() : ncclSuccess;
}

MessageHead head_of(MessageHead::Kind kind, size_t count, ncclDataType_t type) {
  return {kind, type, count, count * size_of(type)};
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) {
  *version = 22809;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
  }
  return "unknown result code";
}

const char* ncclGetLastError(ncclComm_t comm) {
  return comm != nullptr ? comm->last_error.c_str() : "";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::ifstream random("/dev/urandom", std::ios::binary);
  std::ostringstream text;
  text << "nccl-double-" << std::hex;
  for (int i = 0; i < 16; ++i) text << std::setw(2) << std::setfill('0') << random.get();
  *id = {};
  memcpy(id->internal, text.str().data(), text.str().size());
  return random ? ncclSuccess : ncclSystemError;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (comm == nullptr || config == nullptr || config->blocking != 0 || rank < 0 || rank >= ranks) {
    return ncclInvalidArgument;  // communicators that block are not doubled
  }
  id.internal[sizeof id.internal - 1] = '\0';
  if (strncmp(id.internal, "nccl-double-", 12) != 0) return ncclInvalidArgument;
  *comm = new ncclComm(id.internal, ranks, rank);
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (comm == nullptr || error == nullptr) return ncclInvalidArgument;
  if (comm->finalized) {  // others may be gone already
    *error = ncclSuccess;
    return ncclSuccess;
  }
  if (!comm->joined) {
    comm->joined = comm->links.join();
    if (comm->joined) comm->state = ncclSuccess;
    if (const int other = comm->links.rank_on_same_device(); other >= 0) {
      comm->state = comm->refuse(ncclInvalidUsage, "Duplicate GPU detected: rank " +
                                                       std::to_string(comm->rank) + " and rank " +
                                                       std::to_string(other));
    }
  } else if (comm->state == ncclInProgress && ++comm->questions > 2) {
    put_on_stream(*comm);
    comm->state = ncclSuccess;
  }
  if (comm->joined && comm->state == ncclSuccess) {
    comm->links.progress();
    if (comm->links.broken()) comm->state = comm->refuse(ncclRemoteError, "a rank has gone");
  }
  *error = comm->state;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  if (comm == nullptr || comm->state != ncclSuccess) return ncclInvalidUsage;
  if (comm->stream != nullptr) do_work(comm->stream);
  comm->finalized = true;
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (comm == nullptr) return ncclInvalidArgument;
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (group.depth == 0) return ncclInvalidUsage;
  return --group.depth == 0 ? end_group() : ncclSuccess;
}

ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  if (peer < 0) return ncclInvalidArgument;
  return call(comm, stream,
              {{true, peer, head_of(MessageHead::point_to_point, count, type), from, nullptr}});
}

ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  if (peer < 0) return ncclInvalidArgument;
  return call(comm, stream,
              {{false, peer, head_of(MessageHead::point_to_point, count, type), nullptr, to}});
}

ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  if (comm == nullptr) return ncclInvalidArgument;
  const MessageHead head = head_of(MessageHead::all_gather, count, type);
  std::vector<Exchange> exchanges;
  for (int r = 0; r < comm->ranks; ++r) {
    char* place = static_cast<char*>(to) + static_cast<size_t>(r) * head.bytes;
    if (r == comm->rank) {
      exchanges.push_back({false, -1, head, from, place});
    } else {
      exchanges.push_back({true, r, head, from, nullptr});
      exchanges.push_back({false, r, head, nullptr, place});
    }
  }
  return call(comm, stream, std::move(exchanges));
}

ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  if (comm == nullptr || root < 0 || root >= comm->ranks) return ncclInvalidArgument;
  const MessageHead head = head_of(MessageHead::broadcast, count, type);
  std::vector<Exchange> exchanges;
  for (int r = 0; r < comm->ranks && comm->rank == root; ++r) {
    if (r == root) exchanges.push_back({false, -1, head, from, to});
    if (r != root) exchanges.push_back({true, r, head, from, nullptr});
  }
  if (comm->rank != root) exchanges.push_back({false, root, head, nullptr, to});
  return call(comm, stream, std::move(exchanges));
}
