// Ensures that only one process at a time trains a run.
#pragma once

#include <filesystem>
#include <utility>

namespace folio {

/// A lock on the file RUN/lock. The system releases it when the process ends, in any way; the file
/// remains.
class RunLock {
 public:
  RunLock() = default;  // holds nothing
  /// Throws Error if another process trains the run, or as fail_system() does. On a file system
  /// without locks, nothing is locked.
  explicit RunLock(const std::filesystem::path& directory);
  ~RunLock();
  RunLock(RunLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  RunLock& operator=(RunLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  bool held() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

}  // namespace folio
