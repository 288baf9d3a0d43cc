// What carries the messages of NCCL's double from process to process: a Unix socket between every
// two ranks. Nothing here waits.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace cuda_host {

/// What both sides of a message must agree on.
struct MessageHead {
  enum Kind : int32_t { point_to_point, all_gather, broadcast };
  int32_t kind = point_to_point;
  int32_t type = 0;  // ncclDataType_t
  uint64_t count = 0, bytes = 0;

  bool operator==(const MessageHead&) const = default;
  std::string describe() const;
};

struct Message {
  MessageHead head;
  std::string bytes;
};

class Links {
 public:
  /// The rank `rank` of those that meet under `name`, on the machine's GPU `device`.
  Links(std::string name, int ranks, int rank, int device);
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  /// Moves the meeting on; whether all have come.
  bool join();
  /// Of those that have come, one on the same GPU; -1: none.
  int rank_on_same_device() const;

  void send(int peer, const MessageHead& head, const void* bytes);
  /// Takes the next message of a peer, which is told so; false: none is there.
  bool receive(int peer, Message& message);
  /// How many messages were sent to a peer, and how many of them it has taken.
  uint64_t sent(int peer) const { return peers_[static_cast<size_t>(peer)].sent; }
  uint64_t taken(int peer) const { return peers_[static_cast<size_t>(peer)].taken; }
  /// Moves bytes, as many as go; whether all that was sent from here is on its way.
  bool progress();
  /// Whether a rank has gone.
  bool broken() const { return broken_; }

 private:
  struct Peer {
    int socket = -1;
    int device = -1;  // known when it has said so
    std::string outgoing, incoming;
    std::deque<Message> inbox;
    uint64_t sent = 0, taken = 0;
  };

  void greet(int socket) const;
  void parse(Peer& peer);

  std::string name_;
  int rank_, device_;
  int listener_ = -1;
  std::vector<Peer> peers_;     // by rank; this rank's own is unused
  std::vector<int> strangers_;  // have come, but not yet said who they are
  bool broken_ = false;
};

}  // namespace cuda_host
