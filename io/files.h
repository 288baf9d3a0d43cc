// Durable writes, which survive a crash, and bounded reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "folio/io/checksum.h"

namespace folio {

/// Identifies the content of a file.
struct FileStamp {
  uint64_t bytes = 0;
  uint64_t checksum = 0;
  bool operator==(const FileStamp&) const = default;
};

/// Throws Error "PATH: cannot ACTION: REASON", with the system's message for `reason`, an errno
/// value.
[[noreturn]] void fail_system(const std::filesystem::path& path, std::string_view action,
                              int reason);

/// Writes a new file. Unless finish() succeeds, the destructor removes the file. All members throw
/// Error as fail_system() does.
class FileWriter {
 public:
  /// The file must not exist.
  explicit FileWriter(const std::filesystem::path& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* data, size_t bytes);
  /// Flushes the file to the disk and closes it.
  FileStamp finish();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  bool finished_ = false;
  uint64_t bytes_ = 0;
  Checksum checksum_;
};

/// Reads a regular file from its beginning. All members throw Error as fail_system() does.
class FileReader {
 public:
  explicit FileReader(const std::filesystem::path& path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  /// The size of the file in bytes when it was opened.
  uint64_t size() const { return size_; }
  /// Reads the next `bytes` bytes. Throws Error if the file ends earlier.
  void read(void* data, size_t bytes);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

/// Writes a new file and flushes it to the disk.
FileStamp write_durably(const std::filesystem::path& path, std::string_view text);

/// Creates or replaces a file. A crash at any time leaves the old content or the new.
void replace_durably(const std::filesystem::path& path, std::string_view text);

/// The content of a file, which may be a pipe. Throws Error if it cannot be read or has more than
/// `most_bytes` bytes; no more memory than that is used.
std::string read_file(const std::filesystem::path& path, uint64_t most_bytes = UINT64_MAX);

/// The same, or nothing where there is no such file, it cannot be read or has more bytes.
std::optional<std::string> read_file_if_exists(const std::filesystem::path& path,
                                               uint64_t most_bytes);

/// Reads a file and returns its size and checksum.
FileStamp stamp_of(const std::filesystem::path& path);

/// Renames a file or directory.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

/// Creates a directory and its missing parents and flushes them to the disk. Returns the created
/// directories, outermost first. On failure it removes them and throws Error as fail_system() does.
std::vector<std::filesystem::path> make_directories(const std::filesystem::path& directory);

/// Flushes the entries of a directory to the disk: files created, removed or renamed in it.
void sync_directory(const std::filesystem::path& directory);

}  // namespace folio
