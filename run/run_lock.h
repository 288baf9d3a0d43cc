// A lock that lets only one process at a time train into a run directory.
#pragma once

#include <filesystem>
#include <utility>

namespace folio {

/// A lock on the empty file `lock` in a run directory. The system releases it when the process
/// ends, for whatever reason; the file stays.
class RunLock {
 public:
  RunLock() = default;  // not held
  /// Throws Error if another process trains into `directory`, or with the system's reason. On a
  /// file system without locks, it is not held.
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
