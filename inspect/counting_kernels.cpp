#include "folio/inspect/counting_kernels.h"

#include "folio/tensor/error.h"

namespace folio {
namespace {

KernelCounter* current = nullptr;  // entries of a table are plain functions and carry no state

}  // namespace

struct KernelCounter::Recorder {
  template <auto entry, class... Argument>
  static void record(Entry<entry> name, const Argument&... argument) {
    current->flops_ += work_of(name, argument...).flops();
    if (current->plain_ != nullptr) (current->plain_->*entry)(argument...);
  }
};

KernelCounter::KernelCounter(const Kernels* plain)
    : plain_(plain), counting_(recording_kernels<Recorder>()) {
  FOLIO_CHECK(current == nullptr, "plan", "there is a kernel counter already");
  current = this;
}

KernelCounter::~KernelCounter() { current = nullptr; }

}  // namespace folio
