// Memory: what the tape frees, and that a second step takes nothing new.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/kernels/kernels.h"
#include "support/gradcheck.h"

#ifdef FOLIO_THREAD_SANITIZER
#include <sanitizer/allocator_interface.h>
#endif

namespace {

std::atomic<int64_t> heap_requests{0};

#ifdef FOLIO_THREAD_SANITIZER

// It has an operator new of its own that nobody may replace, and tells of every request.
const int is_told = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, size_t) { heap_requests.fetch_add(1, std::memory_order_relaxed); },
    [](const volatile void*) {});

}  // namespace

#else

void* counted_allocation(size_t bytes) noexcept {
  heap_requests.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes > 0 ? bytes : 1);
}

void* counted_allocation_or_throw(size_t bytes) {
  void* memory = counted_allocation(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The whole program's: everything that asks the heap through C++ is counted.
void* operator new(size_t bytes) { return counted_allocation_or_throw(bytes); }
void* operator new[](size_t bytes) { return counted_allocation_or_throw(bytes); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return counted_allocation(bytes);
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return counted_allocation(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

#endif

namespace folio {
namespace {

AllocatorStatistics statistics() { return allocator(Device::cpu).statistics(); }

/// y = x, calling `note` on the way back.
template <class Note>
Variable probe(Tape& tape, const Variable& x, Note note) {
  const Variable y = tape.output_like(x);
  tape.kernels().copy({&y.value, false}, x.value);
  tape.record("probe", y, [note, dx = x.slot, dy = y.slot](Tape& t) {
    note();
    t.pass_grad(dx, t.grad(dy));
  });
  return y;
}

TEST(TapeMemory, DeadActivationsAreFreedBeforeEarlierClosuresRun) {
  Tape tape;
  const Variable x = tape.leaf(random_tensor({3, 5}, 1));
  const size_t before = statistics().live_blocks;
  size_t kept = 0, at_probe = 0;
  Variable loss;
  {
    Variable y = probe(tape, x, [&] { at_probe = statistics().live_blocks; });
    for (int i = 0; i < 10; ++i) y = exp(tape, multiply(tape, y, 0.1));
    loss = sum(tape, y);
    y = {};
    kept = statistics().live_blocks;
  }
  // Each of the ten rounds keeps at least one activation.
  EXPECT_GE(kept, before + 10);
  tape.backward(loss);
  // Left are the loss's value and the gradient of the probe's output.
  EXPECT_EQ(at_probe, before + 2);
}

TEST(TapeMemory, OnlyWhatAClosureCapturedStaysAlive) {
  Tape tape;
  const Variable x = tape.leaf(random_tensor({3, 5}, 2));
  const size_t before = statistics().live_blocks;
  {
    Variable y = x;
    for (int i = 0; i < 10; ++i) y = add(tape, y, x);
  }
  // The backward of add needs no value, so none of the ten is there any more.
  EXPECT_EQ(statistics().live_blocks, before);
  {
    Variable y = x;
    for (int i = 0; i < 10; ++i) y = exp(tape, y);
  }
  EXPECT_EQ(statistics().live_blocks, before + 10);
}

/// A little network with every kind of sharing, without dropout.
Variable network(Tape& tape, const std::vector<Variable>& x) {
  const Variable h = linear(tape, x[0], x[1], x[2], Activation::gelu);
  const Variable y = layer_norm(tape, add(tape, h, x[0]), x[2], std::nullopt);
  const NormalizedSum z = residual_dropout_layer_norm(tape, y, h, 0.3, 1, x[2], x[2]);
  return multiply(tape, add(tape, z.sum, h), softmax(tape, z.normalized));
}

TEST(TapeMemory, ClearLeavesNoLiveTensor) {
  const size_t before = statistics().live_blocks;
  Tape tape;
  for (bool backward : {false, true}) {
    {
      const std::vector<Variable> x = {tape.leaf(random_tensor({4, 6}, 3)),
                                       tape.leaf(random_tensor({6, 6}, 4)),
                                       tape.leaf(random_tensor({6}, 5))};
      const Variable loss = sum(tape, network(tape, x));
      if (backward) tape.backward(loss);
    }
    EXPECT_GT(statistics().live_blocks, before);
    tape.clear();
    EXPECT_EQ(statistics().live_blocks, before);
  }
}

TEST(TapeMemory, DestructorLeavesNoLiveTensor) {
  const size_t before = statistics().live_blocks;
  {
    Tape tape;
    const Variable x = tape.leaf(random_tensor({4, 6}, 6));
    sum(tape, exp(tape, x));
  }
  EXPECT_EQ(statistics().live_blocks, before);
}

TEST(TapeMemory, SecondStepTakesNothingFromTheSystem) {
  const Tensor inputs[] = {random_tensor({4, 6}, 7), random_tensor({6, 6}, 8),
                           random_tensor({6}, 9)};
  Tape tape;
  tape.set_training(true);
  uint64_t requests[3];
  for (uint64_t& request : requests) {
    tape.set_context({.seed = 1, .step = static_cast<uint32_t>(&request - requests)});
    std::vector<Variable> x;
    for (const Tensor& input : inputs) x.push_back(tape.leaf(input));
    tape.backward(sum(tape, network(tape, x)));
    x.clear();
    tape.clear();
    request = statistics().system_allocations;
  }
  EXPECT_EQ(requests[1], requests[0]);
  EXPECT_EQ(requests[2], requests[0]);
}

TEST(TapeMemory, SecondStepTakesNothingFromTheHeap) {
  const Tensor input = random_tensor({3, 5}, 10);
  Tape tape;
  // Enough ops for several chunks of closures and many slots.
  const auto step = [&] {
    const Variable x = tape.leaf(input);
    Variable y = x;
    for (int i = 0; i < 1000; ++i) y = multiply(tape, add(tape, y, x), x);
    tape.backward(sum(tape, reshape(tape, y, {15})));
    tape.clear();
  };
  const int64_t start = heap_requests;
  step();
  const int64_t after_first = heap_requests;
  EXPECT_GT(after_first, start);  // or the counter does not count
  step();
  EXPECT_EQ(heap_requests, after_first);
  step();
  EXPECT_EQ(heap_requests, after_first);
}

}  // namespace
}  // namespace folio
