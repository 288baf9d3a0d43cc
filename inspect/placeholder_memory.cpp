#include "folio/inspect/placeholder_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace folio {
namespace {

constexpr size_t shared_bytes = size_t{4} << 20;

size_t mapped(size_t bytes) { return (bytes + shared_bytes - 1) / shared_bytes * shared_bytes; }

/// The pages that all blocks share. They are anonymous, since a limit on file sizes would apply to
/// a file.
void* shared_pages() {
  static void* const pages = ::mmap(nullptr, shared_bytes, PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return pages;
}

// A block's length stands in a page before it, since free() is not told the length.
constexpr size_t page = 4096;

void* allocate_shared(size_t bytes) {
  const size_t length = mapped(bytes);
  if (shared_pages() == MAP_FAILED) return nullptr;
  void* const reserved = ::mmap(nullptr, page + length, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  *static_cast<size_t*>(reserved) = page + length;
  auto* const block = static_cast<std::byte*>(reserved) + page;
  for (size_t offset = 0; offset < length; offset += shared_bytes) {
    // An old length of 0 makes another mapping of the same pages.
    void* const part =
        ::mremap(shared_pages(), 0, shared_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, block + offset);
    if (part == MAP_FAILED) {
      ::munmap(reserved, page + length);
      return nullptr;
    }
  }
  return block;
}

void free_shared(void* memory) {
  void* const reserved = static_cast<std::byte*>(memory) - page;
  ::munmap(reserved, *static_cast<size_t*>(reserved));
}

/// Addresses that are never accessed.
void* next_address(size_t bytes) {
  static std::atomic<uintptr_t> next = uintptr_t{1} << 46;
  return reinterpret_cast<void*>(next.fetch_add((bytes / page + 1) * page));
}

}  // namespace

const MemorySource& placeholder_memory(Device device) {
  static const MemorySource cpu{"a plan", allocate_shared, free_shared};
  static const MemorySource gpu{"a plan", next_address, [](void*) {}};
  return device == Device::cpu ? cpu : gpu;
}

}  // namespace folio
