#include "support/device_bridge.h"

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string_view>
#include <utility>

#include "folio/tensor/copy.h"

namespace folio {
namespace {

bool offset_wanted() {
  const char* value = std::getenv("FOLIO_TEST_OFFSET");
  return value != nullptr && std::string_view(value) == "1";
}

/// The tensors of one call on the GPU. Those that share memory on the CPU, from the same element
/// on, share it there too.
class Visit {
 public:
  const Tensor& moved(const Tensor& tensor) {
    if (!tensor) return tensor;
    for (const auto& [cpu, gpu] : pairs_) {
      if (cpu.raw() == tensor.raw() && cpu.numel() >= tensor.numel()) {
        return views_.emplace_back(gpu.view(0, tensor.shape()));
      }
    }
    const int64_t offset = offset_wanted() ? 1 : 0;
    const Tensor room({tensor.numel() + offset}, tensor.dtype(), Device::cuda);
    pairs_.emplace_back(tensor, room.view(offset, tensor.shape()));
    copy_tensor(pairs_.back().second, tensor);
    return pairs_.back().second;
  }
  void bring_back() {
    for (const auto& [cpu, gpu] : pairs_) copy_tensor(cpu, gpu);
  }

  const Tensor& operator()(const Tensor& tensor) { return moved(tensor); }
  GradTarget operator()(const GradTarget& target) {
    return target ? GradTarget{&moved(*target.tensor), target.accumulate} : target;
  }
  HeadColumns operator()(const HeadColumns& columns) {
    return {&moved(*columns.tensor), columns.first};
  }
  HeadColumnsGrad operator()(const HeadColumnsGrad& columns) {
    return {(*this)(columns.target), columns.first};
  }
  template <class Other>
  const Other& operator()(const Other& other) {
    return other;
  }

 private:
  std::deque<std::pair<Tensor, Tensor>> pairs_;  // addresses stay
  std::deque<Tensor> views_;
};

bool is_f64(const Tensor& tensor) { return tensor && tensor.dtype() == DType::f64; }
bool is_f64(const GradTarget& target) { return target && is_f64(*target.tensor); }
bool is_f64(const HeadColumns& columns) { return is_f64(*columns.tensor); }
bool is_f64(const HeadColumnsGrad& columns) { return is_f64(columns.target); }
template <class Other>
bool is_f64(const Other&) {
  return false;
}

template <auto entry>
struct Bridged;

template <class... Argument, void (*Kernels::*entry)(Argument...)>
struct Bridged<entry> {
  static void call(Argument... argument) {
    if ((is_f64(argument) || ...)) return (kernels_for(Device::cpu).*entry)(argument...);
    Visit visit;
    (kernels_for(Device::cuda).*entry)(visit(argument)...);
    visit.bring_back();
  }
};

}  // namespace

const Kernels& bridged_kernels() {
  static const Kernels table = wrap_kernels<Bridged>();
  return table;
}

bool tests_gpu() {
  const char* device = std::getenv("FOLIO_TEST_DEVICE");
  return device != nullptr && std::string_view(device) == "cuda";
}

const Kernels& tested_kernels() {
  return tests_gpu() ? bridged_kernels() : kernels_for(Device::cpu);
}

}  // namespace folio
