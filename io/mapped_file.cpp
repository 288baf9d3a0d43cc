#include "folio/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "folio/io/files.h"
#include "folio/tensor/error.h"

namespace folio {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail_system(path, "open", errno);
  struct stat status {};
  const bool is_file = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  int error = 0;
  if (is_file && status.st_size > 0) {
    size_ = static_cast<size_t>(status.st_size);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file, 0);
    error = data_ == MAP_FAILED ? errno : 0;
  }
  ::close(file);
  FOLIO_CHECK(is_file, path.string(), "is not a regular file; name one");
  if (error != 0) fail_system(path, "read", error);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace folio
