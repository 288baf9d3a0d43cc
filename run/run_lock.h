// One process at a time trains into a run directory.
#pragma once

#include <filesystem>
#include <utility>

namespace folio {

/// The lock of a run directory, on the empty file `lock` in it. The system lets it go when the
/// process ends, however it ends; the file stays.
class RunLock {
 public:
  RunLock() = default;  // holds nothing
  /// Throws Error if another process trains into `directory`, or with the system's reason. Where
  /// the file system has no locks, goes on without.
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
