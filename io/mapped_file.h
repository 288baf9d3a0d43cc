// A file in memory, of which the system reads what is looked at.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace folio {

class MappedFile {
 public:
  /// Throws Error for what is no regular file, or cannot be read.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const void* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view text() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;  // null where it is empty
  size_t size_ = 0;
};

}  // namespace folio
