#include "folio/io/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "folio/io/safetensors_header.h"
#include "folio/io/transposed.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"

namespace folio {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

// The tensor data is aligned to this many bytes.
constexpr size_t alignment = 8;
// The limit of the reference implementation.
constexpr uint64_t most_header_bytes = 100'000'000;

struct TypeName {
  DType dtype;
  std::string_view name;
};
constexpr std::array<TypeName, 4> type_names = {
    {{DType::f32, "F32"}, {DType::f64, "F64"}, {DType::i32, "I32"}, {DType::bf16, "BF16"}}};

std::string_view type_name(DType dtype) {
  return std::ranges::find(type_names, dtype, &TypeName::dtype)->name;
}

DType type_of(std::string_view name, std::string_view where, std::string_view tensor) {
  const auto* const type = std::ranges::find(type_names, name, &TypeName::name);
  FOLIO_CHECK(type != type_names.end(), where,
              "tensor \"{}\" is of type \"{}\", which is not one of F32, F64, I32, BF16", tensor,
              name);
  return type->dtype;
}

std::string make_header(const fs::path& path, const std::vector<NamedTensor>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t offset = 0;
  for (const auto& [name, tensor, transposed] : tensors) {
    FOLIO_CHECK(tensor, path.string(), "tensor \"{}\" is empty", name);
    FOLIO_CHECK(name != "__metadata__", path.string(), "no tensor may be called __metadata__");
    std::vector<int64_t> dims(tensor.shape().rank());
    for (size_t i = 0; i < dims.size(); ++i) dims[i] = tensor.dim(static_cast<int>(i));
    if (transposed) std::ranges::reverse(dims);
    header[name] = {{"dtype", type_name(tensor.dtype())},
                    {"shape", dims},
                    {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + alignment - 1) / alignment * alignment, ' ');
    return text;
  } catch (const nlohmann::json::exception&) {
    fail(path.string(), "a tensor's name or the metadata is not valid UTF-8");
  }
}

// The shape of an entry, checked against the size of its data.
Shape shape_of(const HeaderEntry& entry, DType dtype, std::string_view where,
               std::string_view name) {
  int64_t bytes = static_cast<int64_t>(size_of(dtype));
  bool fits = true, empty = false;
  for (int i = 0; i < entry.rank; ++i) {
    // Zeros are skipped, so that the product of the other dimensions is checked for overflow too.
    empty = empty || entry.dim[i] == 0;
    fits = fits && !__builtin_mul_overflow(bytes, std::max<uint64_t>(entry.dim[i], 1), &bytes);
  }
  FOLIO_CHECK(fits, where, "the shape of tensor \"{}\" is impossibly large", name);
  if (empty) bytes = 0;
  FOLIO_CHECK(entry.end >= entry.begin && entry.end - entry.begin == static_cast<uint64_t>(bytes),
              where, "tensor \"{}\" has data from {} to {} but its shape takes {} bytes", name,
              entry.begin, entry.end, bytes);
  Shape shape;
  for (int i = 0; i < entry.rank; ++i) shape = shape.with_last(static_cast<int64_t>(entry.dim[i]));
  return shape;
}

}  // namespace

FileStamp write_safetensors(const fs::path& path, const std::vector<NamedTensor>& tensors,
                            const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor> ordered = tensors;
  // Sorting by element size aligns every tensor to its element type.
  std::ranges::stable_sort(ordered, std::ranges::greater(),
                           [](const NamedTensor& entry) { return size_of(entry.tensor.dtype()); });
  std::vector<std::string_view> names;
  for (const NamedTensor& entry : ordered) names.push_back(entry.name);
  std::ranges::sort(names);
  const auto twin = std::ranges::adjacent_find(names);
  FOLIO_CHECK(twin == names.end(), path.string(), "two tensors are called \"{}\"", *twin);

  const std::string header = make_header(path, ordered, metadata);
  const uint64_t header_bytes = header.size();
  FOLIO_CHECK(header_bytes <= most_header_bytes, path.string(),
              "the header would take {} bytes; the format allows {}", header_bytes,
              most_header_bytes);
  FileWriter file(path);
  file.write(&header_bytes, sizeof header_bytes);
  file.write(header.data(), header.size());
  for (const NamedTensor& entry : ordered) {
    // One tensor at a time: a second copy of all weights could exceed the memory.
    const Tensor here = on_device(entry.tensor, Device::cpu);
    const Tensor tensor = entry.transposed ? transposed(here) : here;
    file.write(tensor.raw(), static_cast<size_t>(tensor.bytes()));
  }
  return file.finish();
}

SafetensorsFile read_safetensors(const fs::path& path) {
  const std::string where = path.string();
  FileReader file(path);
  uint64_t header_bytes = 0;
  FOLIO_CHECK(file.size() >= sizeof header_bytes, where,
              "not a safetensors file: it has only {} bytes", file.size());
  file.read(&header_bytes, sizeof header_bytes);
  const uint64_t rest = file.size() - sizeof header_bytes;
  FOLIO_CHECK(header_bytes <= std::min(rest, most_header_bytes), where,
              "the file is truncated or not a safetensors file: its header should have {} bytes "
              "but only {} follow",
              header_bytes, rest);
  std::string text(header_bytes, '\0');
  file.read(text.data(), text.size());
  SafetensorsHeader header = parse_safetensors_header(text, where);

  using Named = decltype(header.entries)::value_type;
  std::vector<const Named*> ordered;
  for (const Named& named : header.entries) ordered.push_back(&named);
  std::ranges::sort(ordered, {}, [](const Named* named) {
    return std::pair(named->second.begin, named->second.end);
  });
  uint64_t offset = 0;
  for (const Named* named : ordered) {
    FOLIO_CHECK(named->second.begin == offset, where,
                "the data of tensor \"{}\" begins at {} but the data before it ends at {}",
                named->first, named->second.begin, offset);
    offset = named->second.end;
  }
  FOLIO_CHECK(
      offset == rest - header_bytes, where,
      "the file is truncated or damaged: the tensors take {} bytes but {} follow the header",
      offset, rest - header_bytes);

  // Shapes are checked against the data, and the data against the file, before memory is allocated.
  SafetensorsFile result;
  result.metadata = std::move(header.metadata);
  result.tensors.reserve(ordered.size());
  for (const Named* named : ordered) {
    const auto& [name, entry] = *named;
    const DType dtype = type_of(entry.dtype, where, name);
    Tensor tensor(shape_of(entry, dtype, where, name), dtype);
    file.read(tensor.raw(), static_cast<size_t>(tensor.bytes()));
    result.tensors.push_back({name, std::move(tensor)});
  }
  return result;
}

}  // namespace folio
