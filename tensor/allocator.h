// A pool of memory blocks: after the first training step every request is served from blocks
// that earlier tensors gave back, so that nothing is allocated from the system.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "folio/tensor/device.h"

namespace folio {

class Allocator;

/// A piece of memory that tensors share by counting references.
struct MemoryBlock {
  void* memory = nullptr;
  size_t capacity = 0;  // bytes
  std::atomic<int32_t> references{0};
  Allocator* owner = nullptr;
};

/// Where an allocator's memory comes from.
struct MemorySource {
  const char* name;                 // "the system", "the GPU": for messages
  void* (*allocate)(size_t bytes);  // null where there is no more
  void (*free)(void* memory);
  /// Called with every block that is handed out, to overwrite what earlier tensors left in it;
  /// null: nothing is done.
  void (*poison)(void* memory, size_t bytes) = nullptr;
};

/// The CPU's memory.
const MemorySource& system_memory();

/// What an allocator has done so far; all sizes in bytes.
struct AllocatorStatistics {
  size_t live_bytes = 0;  // in tensors now
  size_t live_blocks = 0;
  size_t peak_bytes = 0;            // the most live_bytes has been
  size_t reserved_bytes = 0;        // taken from the system: live and waiting in the pool
  uint64_t system_allocations = 0;  // how often the system was asked
};

/// Thread-safe. Blocks are 64-byte aligned and filed by exact size (rounded to 64 bytes, from
/// 32 KiB on to 4 KiB), so the same sequence of requests finds the same blocks again.
class Allocator {
 public:
  explicit Allocator(const MemorySource& source = system_memory()) : source_(source) {}
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  /// A block of at least `bytes` bytes, contents undefined. Throws Error when memory runs out.
  MemoryBlock* allocate(size_t bytes);
  /// Gives a block back to the pool.
  void release(MemoryBlock* block);
  /// Returns waiting blocks to the system.
  void trim();
  AllocatorStatistics statistics() const;
  /// Starts a new measurement of peak_bytes.
  void reset_peak();

 private:
  void free_waiting();  // the mutex is held

  const MemorySource source_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<MemoryBlock*>> free_;
  AllocatorStatistics statistics_;
};

/// The device's pool, made at first use, or the one of an AllocatorScope. Throws Error where the
/// device cannot be used.
Allocator& allocator(Device device);

/// Memory for the device's tensors comes from `pool` while this lives. For what needs its addresses
/// for itself, a captured graph say; of the process, not of a thread. `pool` must outlive every
/// tensor that was made of it.
class AllocatorScope {
 public:
  AllocatorScope(Device device, Allocator& pool);
  ~AllocatorScope();
  AllocatorScope(const AllocatorScope&) = delete;
  AllocatorScope& operator=(const AllocatorScope&) = delete;

 private:
  Device device_;
  Allocator* before_;
};

}  // namespace folio
