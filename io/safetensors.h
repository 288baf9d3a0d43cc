// The safetensors file format: an 8-byte little-endian header length, a JSON header, raw tensors.
// Written by Hugging Face and read by every tool of the field.
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
  bool transposed = false;  // of a matrix to write: the file gets its transpose
};

/// Writes the tensors (of any type; names differ and are UTF-8) and the metadata to a
/// new file, and flushes it to the disk. Throws Error with the path and the system's reason (disk
/// full, read-only, ...); what was written of the file is then removed.
FileStamp write_safetensors(const std::filesystem::path& path,
                            const std::vector<NamedTensor>& tensors,
                            const std::map<std::string, std::string>& metadata);

struct SafetensorsFile {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a whole file; the tensors come in the order of their data. Everything is checked before it
/// is used: throws Error, naming the path and the fault, for a truncated file, a bad header,
/// overlapping or missing data, an unknown type. No number in the file makes it take more memory
/// than a few times the file's size.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

}  // namespace folio
