#include "folio/run/tensorboard.h"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "folio/io/files.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr std::array<uint32_t, 256> crc_table = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
    table[i] = crc;
  }
  return table;
}();

template <class T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

// A field of a protocol buffer is a key, (number << 3) | wire type, and a value
// (protobuf.dev/programming-guides/encoding).
enum WireType : uint8_t { varint_type = 0, fixed64_type = 1, bytes_type = 2, fixed32_type = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string key(uint32_t field, WireType type) { return varint(field << 3 | type); }

std::string bytes_field(uint32_t field, std::string_view bytes) {
  return key(field, bytes_type).append(varint(bytes.size())).append(bytes);
}

std::string double_field(uint32_t field, double value) {
  return key(field, fixed64_type) + little_endian(std::bit_cast<uint64_t>(value));
}

std::string float_field(uint32_t field, double value) {
  return key(field, fixed32_type) +
         little_endian(std::bit_cast<uint32_t>(static_cast<float>(value)));
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = crc_table[(crc ^ static_cast<uint8_t>(c)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u;
}

std::string scalar_event(double wall_time, int64_t step, std::span<const Scalar> scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, value));
  }
  std::string event = double_field(1, wall_time);
  event += key(2, varint_type) + varint(static_cast<uint64_t>(step));
  return event + bytes_field(5, summary);
}

TensorboardWriter::TensorboardWriter(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail_system(directory, "make", error.value());
  // TensorBoard reads files in the order of their names.
  for (auto number = static_cast<int64_t>(wall_time());; ++number) {
    path_ = directory / fmt::format("events.out.tfevents.{}.folio", number);
    file_ = std::fopen(path_.c_str(), "wxe");
    if (file_ != nullptr) break;
    if (errno != EEXIST) fail_system(path_, "make", errno);
  }
  record(double_field(1, wall_time()) + bytes_field(3, "brain.Event:2"));
}

TensorboardWriter::~TensorboardWriter() { std::fclose(file_); }

void TensorboardWriter::scalars(int64_t step, std::initializer_list<Scalar> scalars) {
  record(scalar_event(wall_time(), step, {scalars.begin(), scalars.size()}));
}

void TensorboardWriter::record(std::string_view bytes) {
  const std::string length = little_endian(static_cast<uint64_t>(bytes.size()));
  std::string whole = length + little_endian(masked_crc32c(length));
  whole.append(bytes).append(little_endian(masked_crc32c(bytes)));
  if (std::fwrite(whole.data(), 1, whole.size(), file_) != whole.size() ||
      std::fflush(file_) != 0) {
    fail_system(path_, "write", errno);
  }
}

}  // namespace folio
