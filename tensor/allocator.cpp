#include "folio/tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>

#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr size_t alignment = 64;
constexpr size_t page = 4096;
constexpr size_t huge_page = size_t{2} << 20;
// What may be reserved before cached blocks are returned to the system. Training steps of one shape
// need 1.02 to 1.07 times the memory that their tensors use at once, because a block serves
// requests of one size only; these blocks must stay cached from step to step.
size_t most_reserved(size_t most_live) {
  constexpr size_t always = size_t{64} << 20;
  return std::max(always, most_live + most_live / 4);
}

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

size_t size_class(size_t bytes) {
  return bytes < 8 * page ? round_up(std::max<size_t>(bytes, 1), alignment) : round_up(bytes, page);
}

void* system_allocate(size_t bytes) {
  const bool huge = bytes >= 2 * huge_page;
  void* memory = nullptr;
  if (posix_memalign(&memory, huge ? huge_page : alignment, bytes) != 0) return nullptr;
  if (huge) madvise(memory, bytes, MADV_HUGEPAGE);  // a hint that only affects speed
  return memory;
}

/// The pool of the innermost AllocatorScope of each device, or null to use the device's own.
std::array<std::atomic<Allocator*>, 2> scoped_pools{};

}  // namespace

const MemorySource& system_memory() {
  static constexpr MemorySource source{"the system", system_allocate, std::free};
  return source;
}

Allocator::~Allocator() { trim(); }

MemoryBlock* Allocator::allocate(size_t bytes) {
  const size_t capacity = size_class(bytes);
  std::lock_guard lock(mutex_);
  most_live_ = std::max(most_live_, statistics_.live_bytes + capacity);
  MemoryBlock* block = nullptr;
  auto& cached = cached_[capacity];
  if (!cached.empty()) {
    block = cached.back();
    cached.pop_back();
  } else {
    free_oldest_cached(capacity);
    void* memory = source_.allocate(capacity);
    if (memory == nullptr) {
      free_cached();
      memory = source_.allocate(capacity);
    }
    FOLIO_CHECK(memory != nullptr, "allocator",
                "{} has no {} bytes left ({} are in tensors, {} in all); use a smaller "
                "batch, or accumulate over more micro-batches",
                source_.name, capacity, statistics_.live_bytes, statistics_.reserved_bytes);
    block = new MemoryBlock;
    block->memory = memory;
    block->capacity = capacity;
    block->owner = this;
    statistics_.reserved_bytes += capacity;
    ++statistics_.system_allocations;
  }
  if (source_.poison != nullptr) source_.poison(block->memory, capacity);
  statistics_.live_bytes += capacity;
  ++statistics_.live_blocks;
  statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.live_bytes);
  return block;
}

void Allocator::release(MemoryBlock* block) {
  std::lock_guard lock(mutex_);
  statistics_.live_bytes -= block->capacity;
  --statistics_.live_blocks;
  block->released = ++releases_;
  cached_[block->capacity].push_back(block);
}

void Allocator::trim() {
  std::lock_guard lock(mutex_);
  free_cached();
}

void Allocator::free_block(MemoryBlock* block) {
  source_.free(block->memory);
  statistics_.reserved_bytes -= block->capacity;
  delete block;
}

void Allocator::free_cached() {
  for (auto& [capacity, blocks] : cached_) {
    for (MemoryBlock* block : blocks) free_block(block);
  }
  cached_.clear();
}

void Allocator::free_oldest_cached(size_t bytes_to_come) {
  while (statistics_.reserved_bytes + bytes_to_come > most_reserved(most_live_)) {
    std::erase_if(cached_, [](const auto& entry) { return entry.second.empty(); });
    if (cached_.empty()) return;
    std::vector<MemoryBlock*>& oldest =
        std::ranges::min_element(cached_, {}, [](const auto& entry) {
          return entry.second.front()->released;
        })->second;
    free_block(oldest.front());
    oldest.erase(oldest.begin());
  }
}

AllocatorStatistics Allocator::statistics() const {
  std::lock_guard lock(mutex_);
  return statistics_;
}

void Allocator::reset_peak() {
  std::lock_guard lock(mutex_);
  statistics_.peak_bytes = statistics_.live_bytes;
}

Allocator& allocator(Device device) {
  if (Allocator* pool = scoped_pools[static_cast<size_t>(device)].load(std::memory_order_relaxed)) {
    return *pool;
  }
  if (device == Device::cuda) return cuda::pool();
  // Never destroyed: tensors with static lifetime may release their blocks at any time.
  static Allocator* const cpu = new Allocator;
  return *cpu;
}

AllocatorScope::AllocatorScope(Device device, Allocator& pool)
    : device_(device), before_(scoped_pools[static_cast<size_t>(device)].exchange(&pool)) {}

AllocatorScope::~AllocatorScope() { scoped_pools[static_cast<size_t>(device_)].store(before_); }

}  // namespace folio
