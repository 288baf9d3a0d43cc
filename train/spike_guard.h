// Detects gradient norms that are outliers among those of the previous steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace folio {

class SpikeGuard {
 public:
  /// `threshold`: the z-score above which a norm is a spike; 0 switches the guard off.
  /// `window`: the number of accepted norms that the z-score is computed from, at least 2.
  SpikeGuard(double threshold, int64_t window);

  /// (norm - mean) / standard deviation over the window, with the population variance. NaN if the
  /// norm is NaN, or if it equals the mean of norms that are all the same. 0 until the window is
  /// full.
  double z_score(double norm) const;
  /// Whether the z-score is above the threshold, or NaN.
  bool is_spike(double norm) const;
  /// Adds the norm of a step that was made to the window, and removes the oldest norm.
  void accept(double norm);

  /// The window, oldest first, which is the whole state.
  const std::vector<double>& norms() const { return norms_; }
  void set_norms(std::vector<double> norms);

 private:
  void forget_oldest();

  double threshold_;
  size_t window_;
  std::vector<double> norms_;
};

}  // namespace folio
