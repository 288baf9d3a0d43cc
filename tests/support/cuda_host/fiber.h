// Fibers: several stacks that one thread of the host changes between.
#pragma once

#include <ucontext.h>

#include <cstddef>

namespace cuda_host {

/// A stack and where its code stands. The main one, default-constructed, is the thread's own.
class Fiber {
 public:
  Fiber() = default;
  /// Will call entry() at its first turn; it must never return.
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves this fiber, which runs, for `next`; returns when something switches back.
  void switch_to(Fiber& next);

 private:
  static void begin();
  void arrived(void* fake_stack);

  static constexpr size_t stack_bytes = size_t{256} << 10;
  void (*entry_)() = nullptr;
  std::byte* memory_ = nullptr;   // a page without access, then the stack
  const void* bottom_ = nullptr;  // for AddressSanitizer
  size_t size_ = 0;
#if defined(__x86_64__)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t context_{};
#endif
};

}  // namespace cuda_host
