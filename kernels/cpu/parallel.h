// Work shared out over OpenMP's threads, the same pieces whatever their number.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>

namespace folio::cpu {

/// The first exception of a parallel region, thrown again behind it: none may leave the region.
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

/// body(begin, end) over [0, count) in pieces of `grain`, on several threads where there are
/// several pieces. Pieces depend on count and grain only, never on the number of threads, so a
/// result made piece by piece is the same on any machine. What body throws is thrown on.
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

/// Elements that one thread should at least work on: below this, starting a second one costs more
/// than it saves.
inline constexpr int64_t grain_elements = 16 * 1024;

/// The grain in rows for rows of `columns` elements.
inline int64_t grain_rows(int64_t columns) {
  return std::max<int64_t>(1, grain_elements / std::max<int64_t>(columns, 1));
}

}  // namespace folio::cpu
