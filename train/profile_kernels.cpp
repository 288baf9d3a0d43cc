#include "folio/train/profile_kernels.h"

#include <chrono>

#include "folio/tensor/error.h"

namespace folio {
namespace {

KernelClock* current = nullptr;  // entries of a table are plain functions and carry no state

}  // namespace

template <auto entry>
struct Timed;

template <class... Argument, void (*Kernels::*entry)(Argument...)>
struct Timed<entry> {
  static void call(Argument... argument) {
    if (current->describing_) current->work_.push_back(work_of(Entry<entry>(), argument...));
    const auto start = std::chrono::steady_clock::now();
    (current->plain_->*entry)(argument...);
    const auto end = std::chrono::steady_clock::now();
    current->seconds_.push_back(std::chrono::duration<double>(end - start).count());
  }
};

namespace {

template <auto... entries>
Kernels timed_table() {
  static_assert(sizeof(Kernels) == sizeof...(entries) * sizeof(void (*)()),
                "an entry of Kernels is missing from the list below");
  Kernels table;
  ((table.*entries = Timed<entries>::call), ...);
  return table;
}

Kernels all_timed() {
  using K = Kernels;
  return timed_table<&K::fill, &K::copy, &K::scale, &K::unary_forward, &K::unary_backward,
                     &K::binary_forward, &K::binary_backward, &K::dropout, &K::sum_forward,
                     &K::sum_backward, &K::sum_rows, &K::sum_first, &K::softmax_forward,
                     &K::softmax_backward, &K::permute, &K::copy_range, &K::gather_rows,
                     &K::scatter_add_rows, &K::embedding_forward, &K::matmul, &K::linear_forward,
                     &K::layer_norm_forward, &K::add_dropout_layer_norm_forward,
                     &K::layer_norm_backward, &K::attention_forward, &K::attention_backward,
                     &K::cross_entropy, &K::sum_squares, &K::gradient_norm, &K::adam, &K::sgd>();
}

}  // namespace

KernelClock::KernelClock(Device device) : plain_(&kernels_for(device)), timed_(all_timed()) {
  FOLIO_CHECK(current == nullptr, "profile", "there is a kernel clock already");
  current = this;
}

KernelClock::~KernelClock() { current = nullptr; }

void KernelClock::describe() {
  describing_ = true;
  work_.clear();
  seconds_.clear();
}

void KernelClock::measure() {
  describing_ = false;
  seconds_.clear();
  seconds_.reserve(work_.size() + 1);
}

const std::vector<double>& KernelClock::seconds() const {
  FOLIO_CHECK(seconds_.size() == work_.size(), "profile",
              "a step called {} kernels, another {}; steps must be alike to be compared",
              seconds_.size(), work_.size());
  return seconds_;
}

}  // namespace folio
