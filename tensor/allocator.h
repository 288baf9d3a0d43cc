// A caching allocator. After the first training step every request is served from blocks that
// earlier tensors released, so that nothing is allocated from the system.
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

/// A reference-counted piece of memory, which tensors share.
struct MemoryBlock {
  void* memory = nullptr;
  size_t capacity = 0;  // bytes
  std::atomic<int32_t> references{0};
  Allocator* owner = nullptr;
  uint64_t released = 0;  // number of the release that cached it
};

/// The functions that an allocator gets its memory from.
struct MemorySource {
  const char* name;                 // "the system", "the GPU": for messages
  void* (*allocate)(size_t bytes);  // returns null if there is no memory left
  void (*free)(void* memory);
  /// Called with every block that is handed out, to overwrite what earlier tensors left in it. May
  /// be null.
  void (*poison)(void* memory, size_t bytes) = nullptr;
};

/// Host memory.
const MemorySource& system_memory();

/// Statistics of an allocator; all sizes in bytes.
struct AllocatorStatistics {
  size_t live_bytes = 0;  // used by tensors now
  size_t live_blocks = 0;
  size_t peak_bytes = 0;            // the maximum of live_bytes
  size_t reserved_bytes = 0;        // taken from the system: live and cached
  uint64_t system_allocations = 0;  // number of allocations from the system
};

/// Thread-safe. Blocks are 64-byte aligned and cached by exact size (rounded up to 64 bytes, from
/// 32 KiB on to 4 KiB), so that the same sequence of requests finds the same blocks again. Before
/// the memory taken from the system would exceed both 64 MiB and 1.25 times what tensors have used
/// at once, the blocks that have been cached longest are returned to the system.
class Allocator {
 public:
  explicit Allocator(const MemorySource& source = system_memory()) : source_(source) {}
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  /// Returns a block of at least `bytes` bytes with undefined contents. Throws Error if there is no
  /// memory left.
  MemoryBlock* allocate(size_t bytes);
  /// Returns a block to the cache.
  void release(MemoryBlock* block);
  /// Returns cached blocks to the system.
  void trim();
  AllocatorStatistics statistics() const;
  /// Restarts the measurement of peak_bytes.
  void reset_peak();

 private:
  // These require mutex_ to be held.
  void free_block(MemoryBlock* block);
  void free_cached();
  void free_oldest_cached(size_t bytes_to_come);

  const MemorySource source_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<MemoryBlock*>> cached_;  // each in the order of their release
  size_t most_live_ = 0;                                // bytes that tensors have used at once
  uint64_t releases_ = 0;
  AllocatorStatistics statistics_;
};

/// The device's pool, created at first use, or that of the innermost AllocatorScope. Throws Error
/// if the device cannot be used.
Allocator& allocator(Device device);

/// While an AllocatorScope exists, memory for the device's tensors comes from `pool`, in all
/// threads. It is for code that needs its addresses for itself, such as a captured graph. `pool`
/// must outlive every tensor that was allocated from it.
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
