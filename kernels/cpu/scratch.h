// Scratch memory of each thread, reused from call to call.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace folio::cpu {

namespace detail {

inline constexpr size_t scratch_alignment = 64;  // a cache line, and the widest vector

struct ScratchDeleter {
  void operator()(std::byte* memory) const {
    ::operator delete (memory, std::align_val_t{scratch_alignment});
  }
};

/// The calling thread's memory, of at least `bytes` bytes.
inline std::byte* scratch_bytes(size_t bytes) {
  thread_local std::unique_ptr<std::byte, ScratchDeleter> memory;
  thread_local size_t capacity = 0;
  if (bytes > capacity) {
    bytes = std::bit_ceil(bytes);  // so that sizes that keep growing reallocate rarely
    memory.reset();
    capacity = 0;
    memory.reset(
        static_cast<std::byte*>(::operator new (bytes, std::align_val_t{scratch_alignment})));
    capacity = bytes;
  }
  return memory.get();
}

}  // namespace detail

/// Returns one array for each count, with that number of elements, on cache lines of its own. The
/// arrays are valid until the calling thread's next call. Their contents are undefined.
template <class T, class... Count>
std::array<T*, sizeof...(Count)> thread_scratch(Count... counts) {
  constexpr int64_t unit = detail::scratch_alignment / sizeof(T);
  std::array<int64_t, sizeof...(Count) + 1> offsets{};
  size_t i = 0;
  ((offsets[i + 1] = offsets[i] + (counts + unit - 1) / unit * unit, ++i), ...);
  T* memory =
      reinterpret_cast<T*>(detail::scratch_bytes(static_cast<size_t>(offsets.back()) * sizeof(T)));
  std::array<T*, sizeof...(Count)> arrays;
  for (i = 0; i < arrays.size(); ++i) arrays[i] = memory + offsets[i];
  return arrays;
}

}  // namespace folio::cpu
