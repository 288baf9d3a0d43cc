// Grids, blocks, warps and threads: each thread that has to wait for others is a fiber of its own;
// those that never wait are run one after another.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"
#include "state.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_host {
namespace {

constexpr int warp_size = 32;

enum class Status : uint8_t { fresh, ready, at_barrier, in_warp, done };

struct Warp {
  unsigned arrived = 0, mask = 0;  // of the exchange that is going on
  uint64_t bits[2][warp_size] = {};
};

/// The block that runs. Only one does at a time.
class Block {
 public:
  static Block& get() {
    static Block* const block = new Block;
    return *block;
  }

  /// backward: threads take their turns in descending order.
  void run(int threads, bool backward, const KernelCall& call);

  void wait_at_barrier() {
    if (status_.size() == 1) return;
    status_[running_] = Status::at_barrier;
    leave();
  }

  WarpValues exchange(unsigned mask, uint64_t bits);
  int running() const { return running_; }

 private:
  static void fiber_entry() { get().serve(); }
  void serve();
  bool next_fresh(int& thread);
  void start(int thread) {
    running_ = thread;
    threadIdx = dim3(static_cast<unsigned>(thread), 0, 0);
  }
  void leave();
  bool release_waiting();
  [[noreturn]] void fail(std::string what) const {
    throw DeviceError{cudaErrorLaunchFailure, std::move(what)};
  }

  KernelCall call_{};
  bool backward_ = false;
  int fresh_ = 0, running_ = 0;
  std::vector<Status> status_;
  std::vector<Fiber*> fiber_of_;  // of threads that wait
  std::vector<Warp> warps_;
  std::vector<uint8_t> parity_;  // of a thread's next exchange
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<std::unique_ptr<Fiber>> forgotten_;
  std::vector<Fiber*> idle_;
  Fiber main_;
  Fiber* serving_ = nullptr;
  std::string failure_;
};

bool Block::next_fresh(int& thread) {
  const int threads = static_cast<int>(status_.size());
  if (fresh_ == threads) return false;
  thread = backward_ ? threads - 1 - fresh_ : fresh_;
  ++fresh_;
  return true;
}

/// What every fiber does: threads that have not begun, one after another, for as long as there are.
void Block::serve() {
  for (;;) {
    int thread;
    while (failure_.empty() && next_fresh(thread)) {
      start(thread);
      status_[thread] = Status::ready;
      call_.body(call_.arguments);
      status_[running_] = Status::done;
    }
    Fiber* self = serving_;
    idle_.push_back(self);
    self->switch_to(main_);
  }
}

/// The running thread has to wait: its fiber stops here until the scheduler comes back to it.
void Block::leave() {
  const int thread = running_;
  Fiber* self = serving_;
  fiber_of_[thread] = self;
  self->switch_to(main_);
  start(thread);
}

bool Block::release_waiting() {
  bool any = false;
  if (std::ranges::all_of(status_, [](Status s) { return s == Status::at_barrier; })) {
    for (Status& status : status_) status = Status::ready;
    any = true;
  }
  return any;
}

void Block::run(int threads, bool backward, const KernelCall& call) {
  call_ = call;
  backward_ = backward;
  fresh_ = 0;
  failure_.clear();
  status_.assign(threads, Status::fresh);
  fiber_of_.assign(threads, nullptr);
  parity_.assign(threads, 0);
  warps_.assign((threads + warp_size - 1) / warp_size, Warp());
  for (;;) {
    if (fresh_ < threads && failure_.empty()) {
      if (idle_.empty()) {
        fibers_.push_back(std::make_unique<Fiber>(&Block::fiber_entry));
        idle_.push_back(fibers_.back().get());
      }
      serving_ = idle_.back();
      idle_.pop_back();
      main_.switch_to(*serving_);
      continue;
    }
    bool ran = false, all_done = true;
    for (int i = 0; i < threads && failure_.empty(); ++i) {
      const int thread = backward ? threads - 1 - i : i;
      all_done &= status_[thread] == Status::done;
      if (status_[thread] != Status::ready) continue;
      ran = true;
      serving_ = fiber_of_[thread];
      main_.switch_to(*serving_);
    }
    if (failure_.empty() && (all_done || ran || release_waiting())) {
      if (all_done) return;
      continue;
    }
    // The fibers that wait will never go on: they are forgotten with what is on their stacks.
    const auto count = [&](Status s) { return std::ranges::count(status_, s); };
    std::string what = failure_.empty()
                           ? "of a block's " + std::to_string(threads) + " threads " +
                                 std::to_string(count(Status::at_barrier)) +
                                 " wait at a barrier, " + std::to_string(count(Status::in_warp)) +
                                 " for others of their warp, and " +
                                 std::to_string(count(Status::done)) + " have returned"
                           : failure_;
    for (auto& fiber : fibers_) forgotten_.push_back(std::move(fiber));
    fibers_.clear();
    idle_.clear();
    fail(std::move(what));
  }
}

WarpValues Block::exchange(unsigned mask, uint64_t bits) {
  const int thread = running_, lane = thread % warp_size;
  Warp& warp = warps_[thread / warp_size];
  const int lanes =
      std::min<int>(warp_size, static_cast<int>(status_.size()) - thread / warp_size * warp_size);
  const unsigned existing = lanes == warp_size ? ~0u : (1u << lanes) - 1;
  if ((mask >> lane & 1u) == 0 || (mask & ~existing) != 0 ||
      (warp.arrived != 0 && warp.mask != mask)) {
    failure_ = "the masks of an exchange within a warp do not fit its threads";
    status_[thread] = Status::in_warp;
    leave();
  }
  const int parity = parity_[thread];
  parity_[thread] ^= 1;
  warp.mask = mask;
  warp.arrived |= 1u << lane;
  warp.bits[parity][lane] = bits;
  if (warp.arrived == mask) {  // the last: the others may go on
    warp.arrived = 0;
    const int first = thread - lane;
    for (int i = 0; i < lanes; ++i) {
      if (status_[first + i] == Status::in_warp) status_[first + i] = Status::ready;
    }
  } else {
    status_[thread] = Status::in_warp;
    leave();
  }
  WarpValues values;
  std::copy_n(warp.bits[parity], warp_size, values.lane);
  return values;
}

}  // namespace

WarpValues exchange(unsigned mask, uint64_t bits) { return Block::get().exchange(mask, bits); }
int lane_of_thread() { return Block::get().running() % warp_size; }

void run_grid(dim3 grid, dim3 block, const KernelCall& call) {
  // Blocks and threads run in any order on a GPU: here in a different one each time.
  static unsigned turn = 0;
  ++turn;
  gridDim = grid;
  blockDim = block;
  const int64_t blocks = int64_t{grid.x} * grid.y * grid.z;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t index = turn % 2 == 0 ? i : blocks - 1 - i;
    blockIdx =
        dim3(static_cast<unsigned>(index % grid.x), static_cast<unsigned>(index / grid.x % grid.y),
             static_cast<unsigned>(index / grid.x / grid.y));
    Block::get().run(static_cast<int>(block.x), (turn / 2 + index) % 2 == 1, call);
  }
}

cudaError_t put_kernel(const LaunchPlace& place, const KernelCall& call, bool pointers_good) {
  const dim3 grid = place.grid, block = place.block;
  const bool fits = grid.x >= 1 && grid.x <= 0x7FFFFFFFu && grid.y >= 1 && grid.y <= 65535 &&
                    grid.z >= 1 && grid.z <= 65535 && block.x >= 1 && block.x <= 1024 &&
                    block.y == 1 && block.z == 1;
  if (!fits) return result(cudaErrorInvalidConfiguration);
  const std::shared_ptr<void> arguments(call.copy(call.arguments), call.destroy);
  const ThreadBody body = call.body;
  return put(place.stream, "a kernel", [=] {
    if (!pointers_good) {
      throw DeviceError{cudaErrorIllegalAddress, "an argument points at memory of the host"};
    }
    run_grid(grid, block, {body, arguments.get(), nullptr, nullptr});
  });
}

}  // namespace cuda_host

void __syncthreads() { cuda_host::Block::get().wait_at_barrier(); }

unsigned atomicAdd(unsigned* memory, unsigned value) {
  const unsigned before = *memory;
  *memory += value;
  return before;
}
