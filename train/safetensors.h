// The safetensors file format: an 8-byte little-endian header length, a JSON header, raw tensors.
// Written by Hugging Face and read by every tool of the field.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "folio/tensor/tensor.h"

namespace folio {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Writes the tensors (f32, f64 or i32, on the CPU) and the metadata (strings) to a new file, and
/// flushes it to the disk. Throws Error with the path and the system's reason (disk full, read-only,
/// ...); what was written of the file is then removed.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

struct SafetensorsFile {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a whole file. Everything in it is checked before it is used: throws Error, naming the
/// path and the fault, for a truncated file, a bad header, overlapping or missing data, an unknown
/// type. No allocation exceeds the size of the file.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

}  // namespace folio
