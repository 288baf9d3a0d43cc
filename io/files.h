// Files that survive a crash: writes that reach the disk, and reads that trust no size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "folio/io/checksum.h"

namespace folio {

/// What tells whether a file's content is what it was.
struct FileStamp {
  uint64_t bytes = 0;
  uint64_t checksum = 0;
  bool operator==(const FileStamp&) const = default;
};

/// Throws Error: "PATH: cannot ACTION: the system's words for `reason`" (an errno), and for a full
/// disk what to do about it.
[[noreturn]] void fail_system(const std::filesystem::path& path, std::string_view action,
                              int reason);

/// A new file. Unless finish() succeeds, the file is removed when the writer goes. All members
/// throw Error as fail_system() does.
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

/// A regular file, read from its beginning. All members throw Error as fail_system() does.
class FileReader {
 public:
  explicit FileReader(const std::filesystem::path& path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  /// Bytes in the file when it was opened.
  uint64_t size() const { return size_; }
  /// The next `bytes` bytes; throws Error if the file ends before.
  void read(void* data, size_t bytes);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

/// Writes a new file, flushed to the disk.
FileStamp write_durably(const std::filesystem::path& path, std::string_view text);

/// Replaces a file, or makes it: a crash at any instant leaves the old content or the new.
void replace_durably(const std::filesystem::path& path, std::string_view text);

/// A whole file. Throws Error, before any memory is taken, if it has more than `most_bytes` bytes.
std::string read_whole(const std::filesystem::path& path, uint64_t most_bytes);

/// Size and checksum of a file as it lies on the disk.
FileStamp stamp_of(const std::filesystem::path& path);

/// Renames a file or directory.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

/// Makes a directory, and those above it that are missing, all of them durable. Returns what it
/// made, the outermost first. Throws Error as fail_system() does, and leaves none then.
std::vector<std::filesystem::path> make_directories(const std::filesystem::path& directory);

/// Makes new, removed and renamed entries of a directory durable.
void sync_directory(const std::filesystem::path& directory);

}  // namespace folio
