#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace cuda_host {
namespace {

constexpr size_t page = 4096;
Fiber* previous = nullptr;  // the one that was left last
Fiber* current = nullptr;

}  // namespace

#if defined(__x86_64__)
// Keeps what a called function must keep, on the old stack, and takes it from the new one: a
// fifth of the time that swapcontext takes, which asks the system for the signal mask.
extern "C" void cuda_host_switch(void** from, void* to);
asm(R"(
.text
.globl cuda_host_switch
.type cuda_host_switch, @function
cuda_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_host_switch, .-cuda_host_switch
)");
#endif

Fiber::Fiber(void (*entry)()) : entry_(entry), size_(stack_bytes) {
  void* memory = mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) std::abort();
  memory_ = static_cast<std::byte*>(memory);
  bottom_ = memory_ + page;
#if defined(__x86_64__)
  // As if it had left in the middle of a call: six registers, then where to return to. At the entry
  // of a function the stack is 8 past a multiple of 16.
  auto* top = reinterpret_cast<uintptr_t*>(memory_ + page + stack_bytes) - 2;
  *top = reinterpret_cast<uintptr_t>(&Fiber::begin);
  for (int i = 0; i < 6; ++i) *--top = 0;
  stack_pointer_ = top;
#else
  getcontext(&context_);
  context_.uc_stack.ss_sp = memory_ + page;
  context_.uc_stack.ss_size = stack_bytes;
  makecontext(&context_, &Fiber::begin, 0);
#endif
}

Fiber::~Fiber() {
  if (memory_ != nullptr) munmap(memory_, page + stack_bytes);
}

void Fiber::begin() {
  current->arrived(nullptr);
  current->entry_();
  std::abort();
}

void Fiber::arrived([[maybe_unused]] void* fake_stack) {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(fake_stack, &bottom, &size);
  if (previous->memory_ == nullptr) {  // the thread's own stack is known from now on
    previous->bottom_ = bottom;
    previous->size_ = size;
  }
#endif
}

void Fiber::switch_to(Fiber& next) {
  void* fake_stack = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fake_stack, next.bottom_, next.size_);
#endif
  previous = this;
  current = &next;
#if defined(__x86_64__)
  cuda_host_switch(&stack_pointer_, next.stack_pointer_);
#else
  swapcontext(&context_, &next.context_);
#endif
  arrived(fake_stack);
}

}  // namespace cuda_host
