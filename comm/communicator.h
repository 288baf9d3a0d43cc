// Collective operations over processes that work together. Each process is a rank, numbered from 0.
//
// Every rank calls the same collectives in the same order, with tensors of the same sizes and
// types. A sum adds the ranks' tensors in the order of ranks, ((x0 + x1) + x2) + ..., so its bits
// depend neither on how a tensor is divided nor on the order in which messages arrive.
//
// Collectives are asynchronous: start_...() returns at once, poll() makes progress and wait() waits
// for completion. On a device with streams, start_...() enqueues the collective after the work that
// is already on the compute stream, and wait() makes the compute stream wait for it; the host
// blocks only in synchronize(). Such collectives run in the order in which they were started. A
// communicator that supports a device's tensors also supports tensors on the host.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/kernels/grad_target.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// `count` elements divided into one part for each rank, at multiples of `unit`, as evenly as
/// possible.
struct Parts {
  int64_t count = 0;
  int ranks = 1;
  int64_t unit = 1;

  SlabRange of(int rank) const;
};

/// A collective that was started. Until it is complete, its inputs must not be written and its
/// outputs must not be accessed. It keeps their memory alive.
class Operation {
 public:
  virtual ~Operation() = default;
  /// Makes progress without waiting; returns whether the operation is complete.
  virtual bool poll() = 0;
  virtual void wait() = 0;
};
using Pending = std::unique_ptr<Operation>;

/// Collectives throw Error if the ranks cannot communicate. If a rank exits, or another waits for
/// it longer than the timeout, all ranks are aborted.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool is_root() const { return rank() == 0; }
  /// The library in use: "Open MPI v4.1.4", "one process".
  virtual std::string describe() const = 0;
  /// Whether collectives accept tensors on `device`.
  virtual bool supports(Device device) const { return device == Device::cpu; }

  // --- collectives ------------------------------------------------------------------------------
  /// sum = or += the sum over the first `contributors` ranks of this rank's part of x. The other
  /// ranks contribute nothing but must call it too. x: one dimension, parts.count elements, any
  /// type; bf16 is added in f32 and rounded once. sum: of the part's size; may be that part of x.
  virtual Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                                       int contributors) = 0;
  /// Sends each rank's part of x to all other ranks.
  virtual Pending start_all_gather(const Tensor& x, const Parts& parts) = 0;
  /// Sends x of rank `root` to all other ranks.
  virtual void broadcast(const Tensor& x, int root = 0) = 0;
  /// Returns when all ranks have called it.
  virtual void barrier() = 0;
  /// Returns when all collectives on a device's tensors are complete. Must be called before the
  /// host waits for the device in any other way, because such a wait has no timeout.
  virtual void synchronize() {}

  void all_gather(const Tensor& x, const Parts& parts) {
    start_all_gather(x, parts)->wait();
    synchronize();
  }
  /// Replaces x by its sum over all ranks.
  void all_reduce(const Tensor& x);
  /// Whether `here` is true on any rank.
  bool any(bool here);
  /// Returns the text of rank 0 on every rank.
  std::string broadcast_text(std::string text);
  /// Returns the texts of all ranks, by rank.
  std::vector<std::string> all_gather_text(const std::string& text);

  // --- failures ---------------------------------------------------------------------------------
  /// Sets how long a rank waits for another before it aborts them all; 0: forever. `setting` names
  /// the limit in the error message.
  virtual void set_timeout(double seconds, const std::string& setting) = 0;
  /// Sets the training step that error messages name.
  virtual void set_step(int64_t step) = 0;
  /// Ends all ranks at once, this process with `exit_code`.
  [[noreturn]] virtual void abort(int exit_code) = 0;
  /// Waits for another rank to call abort().
  [[noreturn]] void wait_for_abort();
  /// Waits until all ranks call it. Must be called before a process exits without an error.
  virtual void finish() = 0;
};

/// The communicator of a single process, whose collectives complete at once.
Communicator& single_process();

}  // namespace folio
