// What tests of files and errors need.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace folio {

/// A new directory, removed with all that is in it when the object goes.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Writes a file, replacing one that is there.
void write_file(const std::filesystem::path& path, std::string_view text);

/// A whole file; fails the test and returns "" if it cannot be read.
std::string read_text(const std::filesystem::path& path);

/// What the folio::Error that `function` throws says. Fails the test and returns "" if it throws
/// nothing or something else.
std::string error_of(const std::function<void()>& function);

}  // namespace folio
