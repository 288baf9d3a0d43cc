#include "folio/io/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "folio/io/checksum.h"
#include "folio/io/json.h"
#include "folio/io/numbered_names.h"
#include "folio/io/pending_directory.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Bytes of every value, the same every time.
std::string some_bytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * i * 31 + i * 7 + 3);
  return bytes;
}

// Values of the reference implementation (python3 -c "import xxhash; print(xxhash.xxh64(...))").
TEST(Checksum, IsXxh64) {
  EXPECT_EQ(checksum_of(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(checksum_of("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(checksum_of("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(checksum_of("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

TEST(Checksum, DoesNotDependOnThePieces) {
  const std::string text = some_bytes(203);
  for (size_t piece = 1; piece < 100; ++piece) {
    Checksum checksum;
    for (size_t i = 0; i < text.size(); i += piece) {
      checksum.add(text.data() + i, std::min(piece, text.size() - i));
    }
    EXPECT_EQ(checksum.value(), checksum_of(text)) << piece;
  }
}

TEST(Checksum, EveryFlippedBitShows) {
  for (size_t size : {1, 7, 31, 32, 33, 64, 203}) {
    std::string text = some_bytes(size);
    const uint64_t whole = checksum_of(text);
    for (size_t bit = 0; bit < 8 * size; ++bit) {
      text[bit / 8] ^= static_cast<char>(1 << bit % 8);
      EXPECT_NE(checksum_of(text), whole) << size << " bytes, bit " << bit;
      text[bit / 8] ^= static_cast<char>(1 << bit % 8);
    }
  }
}

// A sum that only carries upwards would lose these: the sign bits of two numbers of one lane.
TEST(Checksum, TwoFlippedSignsShow) {
  std::string text = some_bytes(256);
  const uint64_t whole = checksum_of(text);
  for (size_t word = 0; word < 4; ++word) {
    std::string other = text;
    other[8 * word + 7] ^= '\x80';
    other[8 * word + 32 + 7] ^= '\x80';
    EXPECT_NE(checksum_of(other), whole);
  }
}

TEST(Files, StampsOfWritingAndReadingAgree) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "file";
  for (size_t size : {size_t{0}, size_t{1}, size_t{100}, (size_t{1} << 20) + 5}) {
    fs::remove(path);
    const std::string bytes = some_bytes(size);
    const FileStamp stamp = write_durably(path, bytes);
    EXPECT_EQ(stamp.bytes, size);
    EXPECT_EQ(stamp, stamp_of(path));
    EXPECT_EQ(read_file(path, size), bytes);
  }
}

TEST(Files, AWriterThatDoesNotFinishLeavesNothing) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "file";
  { FileWriter(path).write("abc", 3); }
  EXPECT_FALSE(fs::exists(path));
}

TEST(Files, NothingIsOverwrittenByANewFile) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "file";
  write_file(path, "old");
  EXPECT_EQ(error_of([&] { write_durably(path, "new"); }),
            path.string() + ": cannot create: File exists");
  EXPECT_EQ(read_text(path), "old");
}

TEST(Files, ReplacingLeavesNoOtherFile) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "file";
  replace_durably(path, "first");
  replace_durably(path, "second");
  EXPECT_EQ(read_text(path), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST(Files, ReplacingADirectoryFailsAndLeavesNothing) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "name";
  fs::create_directory(path);
  EXPECT_EQ(error_of([&] { replace_durably(path, "text"); }),
            path.string() + ": cannot replace: Is a directory");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST(Files, ReadingNamesThePathAndTheReason) {
  const TemporaryDirectory directory;
  const fs::path missing = directory.path() / "missing";
  EXPECT_EQ(error_of([&] { read_file(missing, 10); }),
            missing.string() + ": cannot read: No such file or directory");
  EXPECT_EQ(error_of([&] { read_file(directory.path()); }),
            directory.path().string() + ": cannot read: Is a directory");
  // These files can be opened but have no end, or cannot be read even by root.
  EXPECT_THAT(error_of([] { read_file("/dev/zero", 10); }), HasSubstr("more than 10 bytes"));
  EXPECT_THAT(error_of([] { read_file("/proc/self/mem"); }), HasSubstr("Input/output error"));
  EXPECT_THAT(error_of([] { stamp_of("/dev/zero"); }), HasSubstr("not a regular file"));
  const fs::path large = directory.path() / "large";
  write_file(large, some_bytes(11));
  EXPECT_THAT(error_of([&] { read_file(large, 10); }),
              AllOf(StartsWith(large.string()), HasSubstr("more than 10 bytes")));
}

TEST(Files, FilesWithoutASizeAreReadToTheirEnd) {
  EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("VmRSS"));
  const TemporaryDirectory directory;
  EXPECT_EQ(read_file_if_exists(directory.path() / "missing", 10), std::nullopt);
  EXPECT_EQ(read_file_if_exists(directory.path(), 10), std::nullopt);
  write_file(directory.path() / "file", "text");
  EXPECT_EQ(read_file_if_exists(directory.path() / "file", 10), "text");
  EXPECT_EQ(read_file_if_exists(directory.path() / "file", 3), std::nullopt);
}

TEST(PendingDirectory, AppearsWhenItIsCommitted) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "a" / "new";
  {
    const PendingDirectory abandoned(path);
    write_file(abandoned.path() / "file", "1");
  }
  EXPECT_TRUE(fs::is_empty(path.parent_path()));
  for (const char* content : {"2", "3"}) {
    PendingDirectory pending(path);
    write_file(pending.path() / "file", content);
    pending.commit(/*replace=*/true);
    EXPECT_EQ(read_text(path / "file"), content);
  }
  PendingDirectory other(path);
  EXPECT_THAT(error_of([&] { other.commit(); }), HasSubstr("cannot create: Directory not empty"));
  EXPECT_EQ(existing_directory(path), path);
  fs::rename(path, path.string() + ".old");
  EXPECT_EQ(existing_directory(path), path.string() + ".old");
}

TEST(Names, OfSteps) {
  EXPECT_EQ(step_name(12), "step_12");
  EXPECT_EQ(parse_step_name("step_12"), 12);
  EXPECT_EQ(parse_step_name("step_12.txt", ".txt"), 12);
  for (const char* other : {"step_", "step_012", "step_-1", "step_1x", "step_1.txt", "astep_1",
                            "step_99999999999999999999", ""}) {
    EXPECT_EQ(parse_step_name(other), std::nullopt) << other;
  }
}

TEST(Json, ASealCoversEveryBit) {
  const std::string text = sealed_json({{"a", 1}, {"b", {{"c", 1.5}}}});
  EXPECT_TRUE(seal_fits(text));
  EXPECT_EQ(parse_json(text)->at("b").at("c"), 1.5);
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_FALSE(seal_fits(flipped)) << bit;
  }
  EXPECT_FALSE(seal_fits(""));
}

TEST(Json, DepthIsLimited) {
  EXPECT_TRUE(parse_json("[[1]]", 2));
  EXPECT_FALSE(parse_json("[[[1]]]", 2));
  EXPECT_FALSE(parse_json(std::string(100000, '[')));
  EXPECT_FALSE(parse_json("{"));
}

TEST(Error, HasParts) {
  try {
    fail("a\nb", "is wrong", "mend it");
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a\\x0ab: is wrong; mend it");
    EXPECT_EQ(error.where(), "a\nb");
    EXPECT_EQ(error.message(), "is wrong");
    EXPECT_EQ(error.remedy(), "mend it");
  }
}

TEST(Files, DirectoriesAreMadeTogetherOrNotAtAll) {
  const TemporaryDirectory directory;
  const fs::path a = directory.path() / "a";
  EXPECT_EQ(make_directories(a / "b" / "c"), (std::vector<fs::path>{a, a / "b", a / "b" / "c"}));
  EXPECT_EQ(make_directories(a / "b" / "d"), std::vector<fs::path>{a / "b" / "d"});
  EXPECT_EQ(make_directories(a / "b"), std::vector<fs::path>{});
  EXPECT_THAT(error_of([&] { make_directories(directory.path() / "e" / std::string(300, 'x')); }),
              HasSubstr("cannot make the directory: File name too long"));
  EXPECT_FALSE(fs::exists(directory.path() / "e"));
}

}  // namespace
}  // namespace folio
