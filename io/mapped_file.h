// A memory-mapped file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace folio {

class MappedFile {
 public:
  /// Throws Error unless `path` is a readable regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const void* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view text() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;  // null for an empty file
  size_t size_ = 0;
};

}  // namespace folio
