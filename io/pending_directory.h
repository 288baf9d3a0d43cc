// Directories that appear under their final name complete or not at all, whenever the process or
// the machine stops.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace folio {

/// The suffix of a directory that is being replaced.
inline constexpr std::string_view replaced_suffix = ".old";

/// The temporary name of a directory: PATH.tmp-PID.
std::filesystem::path temporary_name(const std::filesystem::path& directory);

/// PATH, or PATH.old where a crash during commit() left only that; an empty path if neither exists.
std::filesystem::path existing_directory(const std::filesystem::path& directory);

/// Removes what commits that were interrupted left in `parent`: temporary directories of processes
/// that do not run any more, and directories that have been replaced. Errors are ignored.
void remove_leftovers(const std::filesystem::path& parent);

/// A new directory under its temporary name. Unless commit() succeeds, the destructor removes it.
class PendingDirectory {
 public:
  /// Makes the temporary directory and its parents. Throws Error as fail_system() does.
  explicit PendingDirectory(const std::filesystem::path& directory);
  ~PendingDirectory();
  PendingDirectory(const PendingDirectory&) = delete;
  PendingDirectory& operator=(const PendingDirectory&) = delete;

  const std::filesystem::path& path() const { return temporary_; }

  /// Flushes the directory's entries and renames it to its final name, which nothing but an empty
  /// directory may have. With `replace`, a directory of that name is renamed to PATH.old first and
  /// removed afterwards. Throws Error; then the earlier directory has its name again.
  void commit(bool replace = false);

 private:
  std::filesystem::path final_, temporary_;
  bool pending_ = true;
};

/// Removes a directory. It is renamed first, so that after a crash it is complete or absent.
void remove_directory(const std::filesystem::path& directory);

}  // namespace folio
