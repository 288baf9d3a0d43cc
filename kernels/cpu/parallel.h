// Work shared out over OpenMP's threads, the same pieces whatever their number.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>

namespace folio::cpu {

/// body(begin, end) over [0, count) in pieces of `grain`, on several threads where there are
/// several pieces. Pieces depend on count and grain only, never on the number of threads, so a
/// result made piece by piece is the same on any machine. body must not throw.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
  grain = std::max<int64_t>(grain, 1);
  const int64_t pieces = (count + grain - 1) / grain;
  if (pieces <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
#pragma omp parallel for schedule(static)
  for (int64_t piece = 0; piece < pieces; ++piece) {
    body(piece * grain, std::min(count, (piece + 1) * grain));
  }
}

/// Elements that one thread should at least work on: below this, starting a second one costs more
/// than it saves.
inline constexpr int64_t grain_elements = 16 * 1024;

/// The grain in rows for rows of `columns` elements.
inline int64_t grain_rows(int64_t columns) {
  return std::max<int64_t>(1, grain_elements / std::max<int64_t>(columns, 1));
}

}  // namespace folio::cpu
