// The safetensors file format: an 8-byte little-endian header length, a JSON header, raw tensors.
// Specification: https://huggingface.co/docs/safetensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "folio/io/files.h"
#include "folio/tensor/tensor.h"

namespace folio {

struct NamedTensor {
  std::string name;
  Tensor tensor;
  bool transposed = false;  // write the transpose of this matrix
};

/// Writes tensors of any type, with distinct UTF-8 names, and metadata to a new file and flushes it
/// to the disk. On failure it removes the file and throws Error with the path and the system's
/// reason.
FileStamp write_safetensors(const std::filesystem::path& path,
                            const std::vector<NamedTensor>& tensors,
                            const std::map<std::string, std::string>& metadata);

struct SafetensorsFile {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a file. The tensors are in the order of their data. Everything is validated before it is
/// used: throws Error, naming the path and the problem, for a truncated file, an invalid header,
/// overlapping or missing data, or an unknown type. Memory use is bounded by a small multiple of
/// the file's size, whatever the file contains.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

}  // namespace folio
