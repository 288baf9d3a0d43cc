#include "nccl_links.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace cuda_host {
namespace {

struct Greeting {
  int32_t rank, device;
};

struct Frame {
  int32_t is_message = 0;  // else: a message was taken
  MessageHead head;
};

std::pair<sockaddr_un, socklen_t> address_of(const std::string& name, int rank) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = name + "-" + std::to_string(rank);  // abstract: nothing is left behind
  if (text.size() + 1 > sizeof address.sun_path) std::abort();
  std::memcpy(address.sun_path + 1, text.data(), text.size());
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size())};
}

int new_socket() {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) std::abort();
  return socket;
}

}  // namespace

std::string MessageHead::describe() const {
  static constexpr const char* kinds[] = {"message", "all-gather", "broadcast"};
  return std::string(kinds[kind]) + " of " + std::to_string(count) + " elements of type " +
         std::to_string(type);
}

Links::Links(std::string name, int ranks, int rank, int device)
    : name_(std::move(name)), rank_(rank), device_(device), peers_(static_cast<size_t>(ranks)) {
  listener_ = new_socket();
  const auto [address, length] = address_of(name_, rank_);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(listener_, ranks) != 0) {
    std::abort();
  }
}

Links::~Links() {
  ::close(listener_);
  for (const Peer& peer : peers_) {
    if (peer.socket >= 0) ::close(peer.socket);
  }
  for (const int socket : strangers_) ::close(socket);
}

void Links::greet(int socket) const {
  const Greeting greeting{rank_, device_};
  if (::send(socket, &greeting, sizeof greeting, MSG_NOSIGNAL) != sizeof greeting) std::abort();
}

// Each calls those of lower numbers, and both say who they are.
bool Links::join() {
  for (int r = 0; r < rank_; ++r) {
    Peer& peer = peers_[static_cast<size_t>(r)];
    if (peer.socket < 0) {
      const int socket = new_socket();
      const auto [address, length] = address_of(name_, r);
      if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        ::close(socket);  // not there yet
        continue;
      }
      peer.socket = socket;
      greet(socket);
    }
    Greeting greeting{};
    if (peer.device < 0 &&
        ::recv(peer.socket, &greeting, sizeof greeting, MSG_DONTWAIT) == sizeof greeting) {
      peer.device = greeting.device;
    }
  }
  for (int socket;
       (socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
    strangers_.push_back(socket);
    greet(socket);
  }
  std::erase_if(strangers_, [&](int socket) {
    Greeting greeting{};
    if (::recv(socket, &greeting, sizeof greeting, MSG_DONTWAIT) != sizeof greeting) return false;
    Peer& peer = peers_.at(static_cast<size_t>(greeting.rank));
    peer.socket = socket;
    peer.device = greeting.device;
    return true;
  });
  for (size_t r = 0; r < peers_.size(); ++r) {
    if (static_cast<int>(r) != rank_ && peers_[r].device < 0) return false;
  }
  return true;
}

int Links::rank_on_same_device() const {
  for (size_t r = 0; r < peers_.size(); ++r) {
    if (static_cast<int>(r) != rank_ && peers_[r].device == device_) return static_cast<int>(r);
  }
  return -1;
}

void Links::send(int to, const MessageHead& head, const void* bytes) {
  Peer& peer = peers_[static_cast<size_t>(to)];
  const Frame frame{1, head};
  peer.outgoing.append(reinterpret_cast<const char*>(&frame), sizeof frame);
  peer.outgoing.append(static_cast<const char*>(bytes), head.bytes);
  ++peer.sent;
}

bool Links::receive(int from, Message& message) {
  Peer& peer = peers_[static_cast<size_t>(from)];
  if (peer.inbox.empty()) return false;
  message = std::move(peer.inbox.front());
  peer.inbox.pop_front();
  const Frame taken;
  peer.outgoing.append(reinterpret_cast<const char*>(&taken), sizeof taken);
  return true;
}

void Links::parse(Peer& peer) {
  size_t at = 0;
  Frame frame;
  while (peer.incoming.size() - at >= sizeof frame) {
    std::memcpy(&frame, peer.incoming.data() + at, sizeof frame);
    if (frame.is_message == 0) {
      ++peer.taken;
      at += sizeof frame;
      continue;
    }
    if (peer.incoming.size() - at < sizeof frame + frame.head.bytes) break;
    peer.inbox.push_back({frame.head, peer.incoming.substr(at + sizeof frame, frame.head.bytes)});
    at += sizeof frame + frame.head.bytes;
  }
  peer.incoming.erase(0, at);
}

bool Links::progress() {
  bool all_sent = true;
  std::string room(size_t{1} << 16, '\0');
  for (Peer& peer : peers_) {
    if (peer.socket < 0) continue;
    while (!peer.outgoing.empty()) {
      const ssize_t went = ::send(peer.socket, peer.outgoing.data(), peer.outgoing.size(),
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
      if (went > 0) peer.outgoing.erase(0, static_cast<size_t>(went));
      if (went < 0 && errno != EAGAIN) broken_ = true;
      if (went <= 0) break;
    }
    all_sent = all_sent && peer.outgoing.empty();
    for (;;) {
      const ssize_t came = ::recv(peer.socket, room.data(), room.size(), MSG_DONTWAIT);
      if (came > 0) peer.incoming.append(room.data(), static_cast<size_t>(came));
      if (came == 0 || (came < 0 && errno != EAGAIN)) broken_ = true;
      if (came <= 0) break;
    }
    parse(peer);
  }
  return all_sent;
}

}  // namespace cuda_host
