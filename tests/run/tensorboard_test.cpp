#include "folio/run/tensorboard.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "support/temporary.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

// RFC 3720, appendix B.4.
TEST(Tensorboard, Crc32c) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(""), 0u);
}

// What the protocol buffers of TensorBoard 2.21 serialize for the same event.
TEST(Tensorboard, AnEventByteForByte) {
  const Scalar scalars[] = {{"a", 0.5}};
  EXPECT_EQ(scalar_event(1.5, 300, scalars),
            std::string("\x09\0\0\0\0\0\0\xf8\x3f"  // 1: 1.5
                        "\x10\xac\x02"              // 2: 300
                        "\x2a\x0a\x0a\x08"          // 5: {1: {
                        "\x0a\x01"
                        "a"                //   1: "a"
                        "\x15\0\0\0\x3f",  //   2: 0.5f
                        24));
}

TEST(Tensorboard, RecordsFollowEachOther) {
  const TemporaryDirectory directory;
  const fs::path folder = directory.path() / "tensorboard";
  {
    TensorboardWriter writer(folder);
    writer.scalars(1, {{"loss", 4.0}});
    TensorboardWriter(folder).scalars(2, {{"loss", 3.0}, {"lr", 0.1}});
  }
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    ++files;
    std::string_view rest;
    const std::string bytes = read_text(entry.path());
    rest = bytes;
    int records = 0;
    const auto number = [&rest](size_t at, size_t size) {
      uint64_t value = 0;
      for (size_t i = 0; i < size; ++i) {
        value |= static_cast<uint64_t>(static_cast<uint8_t>(rest[at + i])) << (8 * i);
      }
      return value;
    };
    while (!rest.empty()) {
      ASSERT_GE(rest.size(), 16u);
      const uint64_t length = number(0, 8);
      ASSERT_LE(length + 16, rest.size());
      EXPECT_EQ(number(8, 4), masked_crc32c(rest.substr(0, 8)));
      EXPECT_EQ(number(12 + length, 4), masked_crc32c(rest.substr(12, length)));
      rest.remove_prefix(length + 16);
      ++records;
    }
    EXPECT_EQ(records, 2);  // the version, and one event
  }
  EXPECT_EQ(files, 2);
}

}  // namespace
}  // namespace folio
