// Detects gradient norms that are much larger than those before them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace folio {

class SpikeGuard {
 public:
  /// `threshold`: the z-score above which a norm is a spike; 0 disables the guard.
  /// `window`: the number of accepted norms from which the z-score is computed, at least 2.
  SpikeGuard(double threshold, int64_t window);

  /// (norm - mean) / standard deviation over the window; the variance is the population variance.
  /// 0 until the window is full. NaN if the norm is NaN, or if all norms are equal.
  double z_score(double norm) const;
  /// Whether the z-score is above the threshold, or NaN.
  bool is_spike(double norm) const;
  /// Adds the norm of a step whose update was made, and removes the oldest norm.
  void accept(double norm);

  /// The window, oldest first, which is the whole state.
  const std::vector<double>& norms() const { return norms_; }
  void set_norms(std::vector<double> norms);

 private:
  void trim();

  double threshold_;
  size_t window_;
  std::vector<double> norms_;
};

}  // namespace folio
