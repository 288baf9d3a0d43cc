#include "folio/train/spike_guard.h"

#include <cmath>
#include <utility>

namespace folio {

SpikeGuard::SpikeGuard(double threshold, int64_t window)
    : threshold_(threshold), window_(static_cast<size_t>(window)) {}

double SpikeGuard::z_score(double norm) const {
  if (norms_.size() < window_) return 0.0;
  // A running sum would have other bits in a resumed run.
  const auto count = static_cast<double>(window_);
  double sum = 0.0, squares = 0.0;
  for (const double accepted : norms_) sum += accepted;
  const double mean = sum / count;
  for (const double accepted : norms_) squares += (accepted - mean) * (accepted - mean);
  return (norm - mean) / std::sqrt(squares / count);
}

bool SpikeGuard::is_spike(double norm) const {
  return threshold_ > 0.0 && !(z_score(norm) <= threshold_);
}

void SpikeGuard::accept(double norm) {
  if (threshold_ == 0.0) return;
  norms_.push_back(norm);
  trim();
}

void SpikeGuard::set_norms(std::vector<double> norms) {
  norms_ = std::move(norms);
  if (threshold_ == 0.0) norms_.clear();
  trim();
}

void SpikeGuard::trim() {
  while (norms_.size() > window_) norms_.erase(norms_.begin());
}

}  // namespace folio
