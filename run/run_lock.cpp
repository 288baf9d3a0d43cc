#include "folio/run/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "folio/io/files.h"
#include "folio/tensor/error.h"

namespace folio {

RunLock::RunLock(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) fail_system(path, "open", errno);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    const bool no_locks = reason == ENOSYS || reason == ENOTSUP || reason == ENOLCK;
    if (!no_locks) ::close(descriptor);
    FOLIO_CHECK(
        reason != EWOULDBLOCK, directory.string(),
        "the run is being trained by another process; wait for it, or choose another --run");
    if (!no_locks) fail_system(path, "lock", reason);
  }
  descriptor_ = descriptor;
}

RunLock::~RunLock() {
  if (held()) ::close(descriptor_);
}

}  // namespace folio
