#include "folio/inspect/profile_kernels.h"

#include <chrono>

#include "folio/tensor/error.h"

namespace folio {
namespace {

KernelClock* current = nullptr;  // entries of a table are plain functions and carry no state

}  // namespace

struct KernelClock::Recorder {
  template <auto entry, class... Argument>
  static void record(Entry<entry> name, const Argument&... argument) {
    if (current->describing_) current->work_.push_back(work_of(name, argument...));
    if (current->device_ == Device::cuda) {
      current->mark();
      (current->plain_->*entry)(argument...);
      return current->mark();
    }
    const auto start = std::chrono::steady_clock::now();
    (current->plain_->*entry)(argument...);
    const auto end = std::chrono::steady_clock::now();
    current->seconds_.push_back(std::chrono::duration<double>(end - start).count());
  }
};

KernelClock::KernelClock(Device device)
    : device_(device), plain_(&kernels_for(device)), timed_(recording_kernels<Recorder>()) {
  FOLIO_CHECK(current == nullptr, "profile", "there is a kernel clock already");
  current = this;
}

KernelClock::~KernelClock() { current = nullptr; }

void KernelClock::mark() {
  if (next_mark_ == marks_.size()) marks_.emplace_back(/*timed=*/true);
  marks_[next_mark_++].record(cuda::Context::get().stream());
}

void KernelClock::describe() {
  next_mark_ = 0;
  describing_ = true;
  work_.clear();
  seconds_.clear();
}

void KernelClock::measure() {
  describing_ = false;
  next_mark_ = 0;
  seconds_.clear();
  seconds_.reserve(work_.size() + 1);
}

const std::vector<double>& KernelClock::seconds() {
  for (size_t i = 0; device_ == Device::cuda && i < next_mark_; i += 2) {
    seconds_.push_back(marks_[i + 1].seconds_since(marks_[i]));
  }
  next_mark_ = 0;
  FOLIO_CHECK(seconds_.size() == work_.size(), "profile",
              "a step called {} kernels, another {}; steps must be alike to be compared",
              seconds_.size(), work_.size());
  return seconds_;
}

}  // namespace folio
