// Writes metrics as TensorBoard event files: a sequence of records that contain protocol buffers.
//
// A record (TensorFlow's TFRecord, tensorflow/core/lib/io/record_writer.cc), little-endian:
//   uint64 length, uint32 masked CRC-32C of the length, the bytes, uint32 their masked CRC-32C
// The fields that are written of an event (tensorflow/core/util/event.proto):
//   1 wall_time (double), 2 step (int64), 3 file_version (string, only in the first event),
//   5 summary { 1 value { 1 tag (string), 2 simple_value (float) } }
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace folio {

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4): polynomial 0x1EDC6F41, reflected.
uint32_t crc32c(std::string_view bytes);

/// The CRC as it is stored in records: rotated by 15 bits, plus an offset.
uint32_t masked_crc32c(std::string_view bytes);

using Scalar = std::pair<std::string_view, double>;  // tag and value

/// The bytes of an event; wall_time in seconds since 1970.
std::string scalar_event(double wall_time, int64_t step, std::span<const Scalar> scalars);

class TensorboardWriter {
 public:
  /// Creates `directory` if needed, and in it the file events.out.tfevents.SECONDS.folio, with the
  /// next number for which there is no file. Throws Error as fail_system() does.
  explicit TensorboardWriter(const std::filesystem::path& directory);
  ~TensorboardWriter();
  TensorboardWriter(const TensorboardWriter&) = delete;
  TensorboardWriter& operator=(const TensorboardWriter&) = delete;

  /// Writes one event. Throws Error as fail_system() does.
  void scalars(int64_t step, std::initializer_list<Scalar> scalars);

 private:
  void record(std::string_view bytes);

  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
};

}  // namespace folio
