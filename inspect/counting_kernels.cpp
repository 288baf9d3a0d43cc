#include "folio/inspect/counting_kernels.h"

#include "folio/tensor/error.h"

namespace folio {
namespace {

KernelCounter* current = nullptr;  // entries of a table are plain functions and carry no state

}  // namespace

template <auto entry>
struct Counted;

template <class... Argument, void (*Kernels::*entry)(Argument...)>
struct Counted<entry> {
  static void call(Argument... argument) {
    const KernelWork work = work_of(Entry<entry>(), argument...);
    current->flops_ += work.flops();
    current->bytes_ += work.bytes;
    if (current->plain_ != nullptr) (current->plain_->*entry)(argument...);
  }
};

KernelCounter::KernelCounter(const Kernels* plain)
    : plain_(plain), counting_(wrap_kernels<Counted>()) {
  FOLIO_CHECK(current == nullptr, "plan", "there is a kernel counter already");
  current = this;
}

KernelCounter::~KernelCounter() { current = nullptr; }

}  // namespace folio
