#include "folio/io/files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>
#include <vector>

#include "folio/tensor/error.h"
#include "folio/tensor/scope_exit.h"

namespace folio {
namespace fs = std::filesystem;
namespace {

// Repeats a system call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

void fail_system(const fs::path& path, std::string_view action, int reason) {
  const bool full = reason == ENOSPC || reason == EDQUOT;
  const bool refused = reason == EACCES || reason == EPERM;
  fail(path.string(), fmt::format("cannot {}: {}", action, std::generic_category().message(reason)),
       full      ? "free some space"
       : refused ? "check the permissions of the file and its directory"
                 : "");
}

FileWriter::FileWriter(const fs::path& path) : path_(path) {
  descriptor_ = uninterrupted(
      [&] { return ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
  if (descriptor_ < 0) fail_system(path_, "create", errno);
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!finished_) ::unlink(path_.c_str());
}

void FileWriter::write(const void* data, size_t bytes) {
  checksum_.add(data, bytes);
  bytes_ += bytes;
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = uninterrupted([&] { return ::write(descriptor_, next, bytes); });
    if (written < 0) fail_system(path_, "write", errno);
    next += written;
    bytes -= static_cast<size_t>(written);
  }
}

FileStamp FileWriter::finish() {
  if (uninterrupted([&] { return ::fsync(descriptor_); }) != 0) fail_system(path_, "write", errno);
  const int descriptor = std::exchange(descriptor_, -1);
  // close() releases the descriptor even if it fails, so it must not be called again.
  if (::close(descriptor) != 0 && errno != EINTR) fail_system(path_, "write", errno);
  finished_ = true;
  return {bytes_, checksum_.value()};
}

FileReader::FileReader(const fs::path& path) : path_(path) {
  // Without O_NONBLOCK, opening a pipe blocks until it has a writer.
  descriptor_ =
      uninterrupted([&] { return ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (descriptor_ < 0) fail_system(path_, "read", errno);
  struct stat status;
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    fail(path_.string(), "cannot read: it is not a regular file");
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

FileReader::~FileReader() { ::close(descriptor_); }

void FileReader::read(void* data, size_t bytes) {
  char* next = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t count = uninterrupted([&] { return ::read(descriptor_, next, bytes); });
    if (count < 0) fail_system(path_, "read", errno);
    FOLIO_CHECK(count > 0, path_.string(), "the file ends {} bytes too early", bytes);
    next += count;
    bytes -= static_cast<size_t>(count);
  }
}

FileStamp write_durably(const fs::path& path, std::string_view text) {
  FileWriter file(path);
  file.write(text.data(), text.size());
  return file.finish();
}

void replace_durably(const fs::path& path, std::string_view text) {
  fs::path temporary = path;
  temporary += fmt::format(".tmp-{}", ::getpid());
  ::unlink(temporary.c_str());  // left by an earlier process with the same number
  write_durably(temporary, text);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary.c_str());
    fail_system(path, "replace", reason);
  }
  sync_directory(path.parent_path());
}

std::string read_file(const fs::path& path, uint64_t most_bytes) {
  const int file = uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (file < 0) fail_system(path, "read", errno);
  const ScopeExit close_file([file] { ::close(file); });
  struct stat status {};
  const bool has_size = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  const uint64_t size = has_size ? static_cast<uint64_t>(status.st_size) : 0;
  std::string text;
  for (size_t used = 0;;) {
    FOLIO_CHECK(std::max<uint64_t>(size, used) <= most_bytes, path.string(),
                "the file has more than {} bytes, the most that are expected here", most_bytes);
    // One byte more than the file has, so that the second read finds its end. A pipe has no size.
    if (used == text.size()) text.resize(used == 0 ? size + 1 : 2 * used + (1 << 16));
    const ssize_t count =
        uninterrupted([&] { return ::read(file, text.data() + used, text.size() - used); });
    if (count < 0) fail_system(path, "read", errno);
    used += static_cast<size_t>(count);
    if (count == 0) {
      text.resize(used);
      return text;
    }
  }
}

std::optional<std::string> read_file_if_exists(const fs::path& path, uint64_t most_bytes) {
  std::error_code error;
  const bool is_readable = fs::is_regular_file(path, error) && ::access(path.c_str(), R_OK) == 0 &&
                           fs::file_size(path, error) <= most_bytes && !error;
  return is_readable ? std::optional(read_file(path, most_bytes)) : std::nullopt;
}

FileStamp stamp_of(const fs::path& path) {
  FileReader file(path);
  std::vector<char> buffer(std::min<uint64_t>(file.size(), uint64_t{1} << 20));
  Checksum checksum;
  for (uint64_t left = file.size(); left > 0;) {
    const size_t piece = std::min<uint64_t>(left, buffer.size());
    file.read(buffer.data(), piece);
    checksum.add(buffer.data(), piece);
    left -= piece;
  }
  return {file.size(), checksum.value()};
}

void rename_path(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    fail_system(from, fmt::format("rename to {}", to.filename().string()), errno);
  }
}

std::vector<fs::path> make_directories(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> missing;  // innermost first
  for (fs::path path = directory; !path.empty() && !fs::is_directory(path, error);) {
    missing.push_back(path);
    path = path.parent_path();
  }
  std::vector<fs::path> made;
  for (; !missing.empty(); missing.pop_back()) {
    const fs::path& path = missing.back();
    if (::mkdir(path.c_str(), 0777) == 0) {
      made.push_back(path);
      sync_directory(path.parent_path());
    } else if (const int reason = errno; !fs::is_directory(path, error)) {
      for (; !made.empty(); made.pop_back()) fs::remove(made.back(), error);
      fail_system(path, "make the directory", reason);
    }
  }
  return made;
}

void sync_directory(const fs::path& directory) {
  const fs::path path = directory.empty() ? fs::path(".") : directory;
  const int descriptor =
      uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0) fail_system(path, "open", errno);
  const int result = uninterrupted([&] { return ::fsync(descriptor); });
  const int reason = errno;
  ::close(descriptor);
  // Some network file systems cannot flush a directory; their renames are ordered anyway.
  if (result != 0 && reason != EINVAL && reason != ENOTSUP) fail_system(path, "flush", reason);
}

}  // namespace folio
