// Processes that work together: each is a rank, numbered from 0.
//
// Every rank calls the same collectives, in the same order, with tensors of the same sizes and
// types. A sum adds what the ranks bring in the order of their numbers, ((x0 + x1) + x2) + ..., so
// its bits depend on nothing else: not on how a tensor is cut, not on what arrives first.
//
// What is started goes on while others compute: poll() moves it on, wait() ends it. On a device
// with streams start_...() takes its place behind what the device was told to compute so far, and
// wait() lets what it is told from then on come after; the host waits for nothing, and only
// catch_up() does. There collectives are done in the order in which they are started. Tensors may
// lie on the host or on a device: one that carries devices' tensors carries those of the host by
// other means.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/kernels/grad_target.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// `count` elements cut into one part a rank, at multiples of `unit`, as evenly as these allow.
struct Parts {
  int64_t count = 0;
  int ranks = 1;
  int64_t unit = 1;

  SlabRange of(int rank) const;
};

/// A collective that was started. What it reads must not be written, and what it writes not be
/// touched, until it is done; its tensors' memory it keeps alive itself.
class Operation {
 public:
  virtual ~Operation() = default;
  /// Moves it on without waiting; whether it is done.
  virtual bool poll() = 0;
  virtual void wait() = 0;
};
using Pending = std::unique_ptr<Operation>;

/// Throws Error where the ranks cannot speak to each other. A rank that is waited for longer than
/// the patience allows, or that ends, ends them all: the process does not return from there.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool leads() const { return rank() == 0; }
  /// What carries messages: "Open MPI v4.1.4", "one process".
  virtual std::string describe() const = 0;
  /// Whether it carries tensors of that device.
  virtual bool carries(Device device) const { return device == Device::cpu; }

  // --- collectives ------------------------------------------------------------------------------
  /// sum = or += the part of x that is this rank's, over the first `contributors` ranks; the others
  /// bring nothing, but take part. x: one dimension, parts.count elements, any type; bf16 is added
  /// in f32 and rounded once. sum: of the part's size; may be that part of x.
  virtual Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                                       int contributors) = 0;
  /// Each rank's part of x goes to all others.
  virtual Pending start_all_gather(const Tensor& x, const Parts& parts) = 0;
  /// x of rank `root` goes to all others.
  virtual void broadcast(const Tensor& x, int root = 0) = 0;
  /// Returns when all ranks have come here.
  virtual void barrier() = 0;
  /// Returns when what was started for a device's tensors is done there. Before the host waits for
  /// the device in any other way: that would know no patience.
  virtual void catch_up() {}

  void all_gather(const Tensor& x, const Parts& parts) {
    start_all_gather(x, parts)->wait();
    catch_up();
  }
  /// x becomes its sum over all ranks.
  void all_reduce(const Tensor& x);
  /// Whether it holds on any rank.
  bool any(bool here);
  /// What rank 0 has.
  std::string broadcast_text(std::string text);
  /// What each rank has, in their order.
  std::vector<std::string> all_gather_text(const std::string& text);

  // --- trouble ----------------------------------------------------------------------------------
  /// How many seconds a rank waits for another before it ends them all. 0: without end.
  virtual void set_patience(double seconds) = 0;
  /// What the ranks are at, for messages.
  virtual void set_step(int64_t step) = 0;
  /// Ends all ranks at once, this process with `exit_code`.
  [[noreturn]] virtual void abort(int exit_code) = 0;
  /// For the others of a rank that is about to end them all.
  [[noreturn]] void await_the_end();
  /// Before this process ends well: waits until all ranks come here.
  virtual void finish() = 0;
};

/// One process alone: every collective is done at once.
Communicator& no_others();

}  // namespace folio
