// Work divided among OpenMP's threads, in pieces that do not depend on the number of threads.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>

namespace folio::cpu {

/// Whether the caller runs inside of an OpenMP parallel region.
inline bool in_parallel_region() {
#ifdef _OPENMP
  return omp_in_parallel();
#else
  return false;
#endif
}

/// While it exists, OpenMP's number of threads is 1 if `limit` is set: for libraries that would use
/// more. Without OpenMP it has no effect.
class OneThread {
 public:
#ifdef _OPENMP
  explicit OneThread(bool limit) : before_(limit ? omp_get_max_threads() : 1) {
    if (before_ > 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ > 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
#else
  explicit OneThread(bool) {}
#endif
};

/// Keeps the first exception thrown in a parallel region, which none may leave, to rethrow it
/// afterwards.
class FirstError {
 public:
  template <class Body>
  void guard(const Body& body) noexcept {
    try {
      body();
    } catch (...) {
      if (!taken_.test_and_set()) error_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::atomic_flag taken_;
  std::exception_ptr error_;
};

/// Calls body(begin, end) over [0, count) in pieces of `grain`, on several threads if there are
/// several pieces. The pieces depend only on count and grain, never on the number of threads, so a
/// result that is computed piece by piece is the same on any machine. Rethrows what body throws.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
  grain = std::max<int64_t>(grain, 1);
  const int64_t pieces = (count + grain - 1) / grain;
  if (pieces <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  FirstError error;
#pragma omp parallel for schedule(static)
  for (int64_t piece = 0; piece < pieces; ++piece) {
    error.guard([&] { body(piece * grain, std::min(count, (piece + 1) * grain)); });
  }
  error.rethrow();
}

/// The least number of elements per thread: for fewer, starting another thread costs more than it
/// saves.
inline constexpr int64_t grain_elements = 16 * 1024;

/// The grain for rows of `columns` elements, in rows.
inline int64_t grain_rows(int64_t columns) {
  return std::max<int64_t>(1, grain_elements / std::max<int64_t>(columns, 1));
}

}  // namespace folio::cpu
