// Collectives over processes that train together. Each process is a rank, numbered from 0.
//
// Every rank calls the same collectives in the same order, with tensors of the same sizes and
// types. A sum adds the ranks' tensors in the order of the ranks, ((x0 + x1) + x2) + ..., so its
// bits do not depend on how a tensor is divided or on which message arrives first.
//
// A collective that was started proceeds while the rank computes: poll() makes progress, wait()
// completes it. On a GPU, start_...() enqueues the collective behind the work that the device has
// been given so far, wait() makes later work of the device wait for it, and neither blocks the
// host; only synchronize() does. Collectives of a GPU execute in the order in which they are
// started.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/kernels/grad_target.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// A division of `count` elements into one contiguous part per rank. Parts begin at multiples of
/// `unit` and are as equal as that allows.
struct Parts {
  int64_t count = 0;
  int ranks = 1;
  int64_t unit = 1;

  SlabRange of(int rank) const;
};

/// A collective that was started. Until it is done, the tensors that it reads must not be written,
/// and those that it writes must not be accessed. It keeps their memory alive.
class Operation {
 public:
  virtual ~Operation() = default;
  /// Makes progress without blocking. Returns whether the collective is done.
  virtual bool poll() = 0;
  /// Blocks until the collective is done; on a GPU, makes the compute stream wait for it.
  virtual void wait() = 0;
};
using Pending = std::unique_ptr<Operation>;

/// Members throw Error if communication fails. If a rank ends or does not answer within the
/// timeout, all ranks are aborted: the call that waits for it does not return.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool is_root() const { return rank() == 0; }
  /// The library and its version, such as "Open MPI v4.1.4"; "one process" for a single process.
  virtual std::string describe() const = 0;
  /// Whether tensors may lie on that device.
  virtual bool carries(Device device) const { return device == Device::cpu; }

  // --- collectives ------------------------------------------------------------------------------
  /// Sets or adds to `sum` this rank's part of x, summed over the first `contributors` ranks; the
  /// other ranks contribute nothing but must call it too. x has one dimension of parts.count
  /// elements of any type; bf16 is added in f32 and rounded once. `sum` has the size of the part,
  /// and may be that part of x.
  virtual Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                                       int contributors) = 0;
  /// Copies each rank's part of x to all other ranks.
  virtual Pending start_all_gather(const Tensor& x, const Parts& parts) = 0;
  /// Copies x from rank `root` to all other ranks.
  virtual void broadcast(const Tensor& x, int root = 0) = 0;
  /// Returns when all ranks have called it.
  virtual void barrier() = 0;
  /// Blocks until all collectives that were started on the GPU are done. Call it before the host
  /// waits for the device in any other way, because only this wait has a timeout.
  virtual void synchronize() {}

  void all_gather(const Tensor& x, const Parts& parts) {
    start_all_gather(x, parts)->wait();
    synchronize();
  }
  /// Replaces x by its sum over all ranks.
  void all_reduce(const Tensor& x);
  /// Whether the condition holds on any rank.
  bool any(bool here);
  /// The text of rank 0.
  std::string broadcast_text(std::string text);
  /// The texts of all ranks, in the order of the ranks.
  std::vector<std::string> all_gather_text(const std::string& text);

  // --- failures ---------------------------------------------------------------------------------
  /// How many seconds a rank waits for another before it aborts all of them. 0: no limit.
  virtual void set_timeout(double seconds) = 0;
  /// The training step, for error messages.
  virtual void set_step(int64_t step) = 0;
  /// Ends all ranks at once, and this process with `exit_code`.
  [[noreturn]] virtual void abort(int exit_code) = 0;
  /// Waits without a timeout, for ranks of which another reports the error and aborts all.
  [[noreturn]] void wait_to_be_aborted();
  /// Waits until all ranks call it. Call it before the process ends successfully.
  virtual void finish() = 0;
};

/// The communicator of a process that trains alone. Its collectives complete immediately.
Communicator& single_process();

}  // namespace folio
