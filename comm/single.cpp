// One process alone.
#include <cstdlib>

#include "folio/comm/communicator.h"
#include "folio/comm/ordered_sum.h"
#ifdef FOLIO_HAVE_CUDA
#include "folio/kernels/cuda/ordered_sum.h"
#endif

namespace folio {
namespace {

class Done : public Operation {
 public:
  bool poll() override { return true; }
  void wait() override {}
};

class NoOthers : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string describe() const override { return "one process"; }
  bool carries(Device) const override { return true; }
  Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts&,
                               int contributors) override {
#ifdef FOLIO_HAVE_CUDA
    if (x.device() == Device::cuda) {
      cuda::ordered_sum(sum, {.own = x.raw(), .count = contributors},
                        cuda::Context::get().stream());
      return std::make_unique<Done>();
    }
#endif
    std::vector<const void*> inputs;
    if (contributors > 0) inputs.push_back(x.raw());
    if (sum.accumulate || inputs.empty() || sum.tensor->raw() != x.raw()) add_in_order(sum, inputs);
    return std::make_unique<Done>();
  }
  Pending start_all_gather(const Tensor&, const Parts&) override {
    return std::make_unique<Done>();
  }
  void broadcast(const Tensor&, int) override {}
  void barrier() override {}
  void set_patience(double) override {}
  void set_step(int64_t) override {}
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }
  void finish() override {}
};

}  // namespace

Communicator& no_others() {
  static NoOthers alone;
  return alone;
}

}  // namespace folio
