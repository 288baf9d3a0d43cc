// safetensors: the JSON header alone, and whole files.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "folio/io/files.h"
#include "folio/io/safetensors.h"
#include "folio/io/safetensors_header.h"
#include "folio/tensor/allocator.h"
#include "fuzz/target.h"

namespace folio {
namespace {

// A file that lives in memory, so that no input waits for a disk.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw std::runtime_error("memfd_create failed");
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& path() const { return path_; }
  void write(std::string_view content) {
    if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, content.data(), content.size(),
                                                     0) != static_cast<ssize_t>(content.size())) {
      throw std::runtime_error("cannot write the file in memory");
    }
  }

 private:
  int descriptor_;
  std::string path_;
};

void run_header(std::string_view input) { parse_safetensors_header(input, "x"); }

void run_file(std::string_view input) {
  MemoryFile file;
  file.write(input);
  size_t bytes = 0;
  for (const NamedTensor& entry : read_safetensors(file.path()).tensors) {
    bytes += static_cast<size_t>(entry.tensor.bytes());
  }
  expect(bytes <= input.size(), "the tensors hold more than the file");
}

// The header is as long as the bytes up to the last closing bracket.
std::string mend_length(std::string input) {
  uint64_t length = input.rfind('}') + 1;
  if (length < 8 || length > input.size()) return input;
  length -= 8;
  std::memcpy(input.data(), &length, sizeof length);
  return input;
}

std::vector<std::string> example_files() {
  const Tensor weight = Tensor::from<float>({2, 3}, {1, -2, 3.5f, 0, 1e-40f, 6});
  const Tensor exact = Tensor::from<double>({1, 2, 1, 1}, {0.1, -1e300});
  const Tensor tokens = Tensor::from<int32_t>({3}, {-1, 0, 7});
  const std::vector<std::vector<NamedTensor>> lists = {
      {},
      {{"scalar", Tensor::from<float>({}, {2.5f})}},
      {{"h.0.weight", weight},
       {"exact", exact},
       {"tokens", tokens},
       {"none", Tensor({0, 4}, DType::bf16)}},
  };
  std::vector<std::string> files;
  for (const std::vector<NamedTensor>& tensors : lists) {
    char folder[] = "/tmp/folio_fuzz_XXXXXX";
    if (::mkdtemp(folder) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
    const std::filesystem::path path = std::filesystem::path(folder) / "file";
    write_safetensors(path, tensors, {{"format", "pt"}, {"step", "5"}});
    files.push_back(read_file(path));
    std::filesystem::remove_all(folder);
  }
  return files;
}

FuzzTarget common() {
  FuzzTarget target;
  target.dictionary = {"__metadata__",
                       "\"dtype\":",
                       "\"shape\":",
                       "\"data_offsets\":",
                       "\"F32\"",
                       "\"F64\"",
                       "\"I32\"",
                       "\"BF16\"",
                       "[0,24]",
                       "[]",
                       "[4294967296,4294967296]",
                       "{",
                       "}",
                       "[",
                       "]",
                       ",",
                       ":",
                       "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},",
                       "null",
                       "true",
                       "\"",
                       "\\u0000",
                       "\\ud800"};
  return target;
}

}  // namespace

FuzzTarget safetensors_header_target() {
  FuzzTarget target = common();
  target.name = "safetensors_header";
  target.memory = {64, 1 << 20};
  target.run = run_header;
  for (const std::string& file : example_files()) {
    target.corpus.push_back(file.substr(8, file.rfind('}') - 7));
  }
  return target;
}

FuzzTarget safetensors_target() {
  FuzzTarget target = common();
  target.name = "safetensors";
  target.memory = {64, 1 << 20};
  target.run = run_file;
  target.mend = mend_length;
  target.corpus = example_files();
  return target;
}

}  // namespace folio
