// Tells a gradient norm that stands far out from those before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace folio {

class SpikeGuard {
 public:
  /// `threshold`: the z-score above which a norm is a spike; 0: none ever is, and nothing is kept.
  /// `window`: how many accepted norms the z-score looks back on, at least 2.
  SpikeGuard(double threshold, int64_t window);

  /// (norm - mean) / standard deviation, both over the window, the variance being divided by the
  /// window's length. NaN if the norm is, or if it equals the mean of norms that are all the same.
  /// 0 until the window is full.
  double z_score(double norm) const;
  /// Whether the z-score is above the threshold, or NaN.
  bool is_spike(double norm) const;
  /// A step with this norm was made: it enters the window, and the oldest norm leaves.
  void accept(double norm);

  /// The window, oldest first: all the state there is.
  const std::vector<double>& norms() const { return norms_; }
  void set_norms(std::vector<double> norms);

 private:
  void forget_oldest();

  double threshold_;
  size_t window_;
  std::vector<double> norms_;
};

}  // namespace folio
