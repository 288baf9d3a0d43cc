#include "folio/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "folio/tensor/error.h"
#include "folio/tensor/random.h"
#include "support/temporary.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<NamedTensor> example = {
    {"blocks.0.weight", Tensor::from<float>({2, 3}, {1, -2, 3.5f, 0, 1e-40f, 6})},
    {"tokens", Tensor::from<int32_t>({3}, {-1, 0, 7})},
    {"exact", Tensor::from<double>({1, 2, 1, 1}, {0.1, -1e300})},
    {"scalar", Tensor::from<float>({}, {2.5f})},
    {"nothing", Tensor({0, 4}, DType::f32)},
    {"a \"name\"\nwith é", Tensor::from<float>({1}, {9})},
};
const std::map<std::string, std::string> example_metadata = {{"format", "pt"}, {"step", "500"}};

/// A file with the header given, then `data`.
std::string file_with(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + header + data;
}

std::string example_bytes() {
  const TemporaryDirectory directory;
  write_safetensors(directory.path() / "file", example, example_metadata);
  return read_text(directory.path() / "file");
}

void expect_same(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.describe(), b.describe());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())), 0);
}

TEST(Safetensors, RoundTrip) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model.safetensors";
  const FileStamp stamp = write_safetensors(path, example, example_metadata);
  EXPECT_EQ(stamp, stamp_of(path));
  const SafetensorsFile file = read_safetensors(path);
  EXPECT_EQ(file.metadata, example_metadata);
  ASSERT_EQ(file.tensors.size(), example.size());
  for (const NamedTensor& wanted : example) {
    const auto found = std::ranges::find(file.tensors, wanted.name, &NamedTensor::name);
    ASSERT_NE(found, file.tensors.end()) << wanted.name;
    expect_same(found->tensor, wanted.tensor);
  }
}

TEST(Safetensors, NoTensorsAndNoMetadata) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model.safetensors";
  write_safetensors(path, {}, {});
  EXPECT_TRUE(read_safetensors(path).tensors.empty());
  EXPECT_TRUE(read_safetensors(path).metadata.empty());
}

TEST(Safetensors, WritesPartsOfASlab) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model.safetensors";
  const Tensor slab = Tensor::from<float>({6}, {1, 2, 3, 4, 5, 6});
  write_safetensors(path, {{"part", slab.view(2, {2, 2})}}, {});
  EXPECT_EQ(read_safetensors(path).tensors[0].tensor.to_vector<float>(),
            (std::vector<float>{3, 4, 5, 6}));
}

// The layout as https://huggingface.co/docs/safetensors states it, read without our reader.
TEST(Safetensors, Layout) {
  const std::string bytes = example_bytes();
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  ASSERT_LE(8 + header_bytes, bytes.size());
  EXPECT_EQ((8 + header_bytes) % 8, 0u) << "the data must be aligned";
  EXPECT_EQ(bytes[8], '{');
  const std::string data = bytes.substr(8 + header_bytes);
  const auto header = nlohmann::ordered_json::parse(bytes.substr(8, header_bytes));
  EXPECT_EQ(header.begin().key(), "__metadata__");
  EXPECT_EQ(header["__metadata__"], (nlohmann::ordered_json{{"format", "pt"}, {"step", "500"}}));
  EXPECT_EQ(header.size(), example.size() + 1);
  const std::map<DType, std::string> types = {
      {DType::f32, "F32"}, {DType::f64, "F64"}, {DType::i32, "I32"}};
  uint64_t end = 0;  // the data follows without gaps, in the header's order
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const Tensor tensor = std::ranges::find(example, name, &NamedTensor::name)->tensor;
    EXPECT_EQ(entry["dtype"], types.at(tensor.dtype()));
    ASSERT_EQ(entry["shape"].size(), static_cast<size_t>(tensor.shape().rank()));
    for (int i = 0; i < tensor.shape().rank(); ++i) EXPECT_EQ(entry["shape"][i], tensor.dim(i));
    EXPECT_EQ(entry["data_offsets"][0], end) << name;
    EXPECT_EQ(end % size_of(tensor.dtype()), 0u) << name << " must be aligned to its element";
    end = entry["data_offsets"][1];
    ASSERT_LE(end, data.size());
    EXPECT_EQ(data.substr(end - tensor.bytes(), tensor.bytes()),
              std::string(static_cast<const char*>(tensor.raw()), tensor.bytes()));
  }
  EXPECT_EQ(end, data.size());
}

TEST(Safetensors, RefusesToWriteWhatNobodyCouldRead) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model.safetensors";
  const Tensor one = Tensor::from<float>({1}, {1});
  const auto error = [&](const std::vector<NamedTensor>& tensors) {
    return error_of([&] { write_safetensors(path, tensors, {}); });
  };
  EXPECT_EQ(error({{"a", one}, {"b", one}, {"a", one}}),
            path.string() + ": two tensors are called \"a\"");
  EXPECT_THAT(error({{"a", Tensor()}}), HasSubstr("tensor \"a\" is empty"));
  EXPECT_THAT(error({{"__metadata__", one}}), HasSubstr("__metadata__"));
  EXPECT_THAT(error({{"\xff", one}}), HasSubstr("not valid UTF-8"));
  EXPECT_FALSE(fs::exists(path));
}

TEST(Safetensors, TruncatedAnywhere) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model.safetensors";
  const std::string bytes = example_bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    fs::remove(path);  // some file systems flush a file that is written over
    write_file(path, bytes.substr(0, length));
    EXPECT_THAT(error_of([&] { read_safetensors(path); }), StartsWith(path.string() + ": "))
        << length;
  }
  write_file(path, bytes + "x");
  EXPECT_THAT(error_of([&] { read_safetensors(path); }), HasSubstr("truncated or damaged"));
}

TEST(Safetensors, HeaderLengthBeyondTheFile) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model.safetensors";
  for (const char* length : {"\xff\xff\xff\xff\xff\xff\xff\xff", "\xf9\xff\xff\xff\xff\xff\xff\xff",
                             "\0\0\0\0\0\0\0\x80", "\x03\0\0\0\0\0\0\0"}) {
    write_file(path, std::string(length, 8) + "{}");
    EXPECT_THAT(error_of([&] { read_safetensors(path); }), HasSubstr("its header should have"));
  }
}

/// A header with one tensor "a" of these fields.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

TEST(Safetensors, BadHeadersAreRefused) {
  struct Fault {
    std::string header, message;
  };
  const std::vector<Fault> faults = {
      {"", "does not begin with {"},
      {"[]", "does not begin with {"},
      {" {}", "does not begin with {"},
      {"{", "not valid JSON"},
      {"{}x", "not valid JSON"},
      {"{}{}", "not valid JSON"},
      {"{}", "the tensors take 0 bytes but 8 follow"},
      {R"({"a":1})", "a number is not allowed at \"a\""},
      {R"({"a":null})", "null is not allowed"},
      {R"({"a":[]})", "a list is not allowed"},
      {R"({"a":{}})", "lacks one of dtype, shape, data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[2]}})", "lacks one of dtype, shape, data_offsets"},
      {R"({"a":{"dtype":"F32","dtype":"F32"}})", "two keys \"dtype\""},
      {R"({"a":{"color":1}})", "unknown key \"color\""},
      {R"({"__metadata__":{"a":1}})", "a number is not allowed"},
      {R"({"__metadata__":{"a":{}}})", "an object is not allowed"},
      {R"({"__metadata__":[]})", "a list is not allowed"},
      {R"({"__metadata__":{},"__metadata__":{}})", "__metadata__ is repeated"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "\"a\" is repeated in __metadata__"},
      {entry("\"F32\"", "[2]", "[0,8]")
           .insert(1, R"("a":{"dtype":"F32","shape":[0],)"
                      R"("data_offsets":[0,0]},)"),
       "two tensors are called \"a\""},
      {entry("\"Q4\"", "[2]", "[0,8]"), "is of type \"Q4\""},
      {entry("\"F16\"", "[4]", "[0,8]"), "is of type \"F16\""},
      {entry("4", "[2]", "[0,8]"), "a number is not allowed"},
      {entry("\"F32\"", "2", "[0,8]"), "a number is not allowed"},
      {entry("\"F32\"", "[-2]", "[0,8]"), "a negative number is not allowed"},
      {entry("\"F32\"", "[2.0]", "[0,8]"), "a fraction is not allowed"},
      {entry("\"F32\"", "[1e2]", "[0,8]"), "a fraction is not allowed"},
      {entry("\"F32\"", "[true]", "[0,8]"), "true or false"},
      {entry("\"F32\"", "[\"2\"]", "[0,8]"), "text is not allowed"},
      {entry("\"F32\"", "[[2]]", "[0,8]"), "a list is not allowed"},
      {entry("\"F32\"", "[1,1,1,1,2]", "[0,8]"), "more than 4 dimensions"},
      {entry("\"F32\"", "[9223372036854775808]", "[0,8]"), "a dimension of tensor \"a\" is 9223"},
      {entry("\"F32\"", "[99999999999999999999]", "[0,8]"), "a fraction is not allowed"},
      {entry("\"F32\"", "[4611686018427387904,4]", "[0,8]"), "impossibly large"},
      {entry("\"F32\"", "[4611686018427387904,4,0]", "[0,8]"), "impossibly large"},
      {entry("\"F32\"", "[3]", "[0,8]"), "data from 0 to 8 but its shape takes 12"},
      {entry("\"F64\"", "[2]", "[0,8]"), "data from 0 to 8 but its shape takes 16"},
      {entry("\"F32\"", "[2]", "[8,0]"), "begins at 8"},
      {entry("\"F32\"", "[1]", "[4,8]"), "begins at 4 but the data before it ends at 0"},
      {entry("\"F32\"", "[1]", "[0,4]"), "the tensors take 4 bytes but 8 follow"},
      {entry("\"F32\"", "[3]", "[0,12]"), "the tensors take 12 bytes but 8 follow"},
      {entry("\"F32\"", "[2]", "[0]"), "has 1 data_offsets instead of 2"},
      {entry("\"F32\"", "[2]", "[]"), "has 0 data_offsets instead of 2"},
      {entry("\"F32\"", "[2]", "[0,4,8]"), "a number is not allowed"},
      {entry("\"F32\"", "[2]", "[0,18446744073709551615]"),
       "the tensors take 18446744073709551615"},
      {entry("\"F32\"", "[2]", "[0,8]")
           .insert(1, R"("b":{"dtype":"F32","shape":[1],)"
                      R"("data_offsets":[4,8]},)"),
       "begins at 4 but the data before it ends at 8"},
      {"{\"a\":" + std::string(1000000, '['), "a list is not allowed"},
      {"{\"a\":{\"shape\":" + std::string(1000000, '['), "a list is not allowed"},
      {"{\"\xff\":{}}", "not valid JSON"},
  };
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model.safetensors";
  for (const auto& [header, message] : faults) {
    write_file(path, file_with(header, "12345678"));
    EXPECT_THAT(error_of([&] { read_safetensors(path); }),
                AllOf(StartsWith(path.string() + ": "), HasSubstr(message)))
        << header.substr(0, 200);
  }
}

// Whatever the bytes: a file that is read or an Error, and no more memory than the file is long
// (blocks of memory are rounded up to 64 bytes, from 32 KiB on to 4 KiB).
TEST(Safetensors, SeededMutations) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model.safetensors";
  const std::string original = example_bytes();
  const std::vector<std::string> pieces = {"{",
                                           "}",
                                           "[",
                                           "]",
                                           ",",
                                           ":",
                                           "\"",
                                           "0",
                                           "-1",
                                           "1e99",
                                           "null",
                                           "\"F64\"",
                                           std::string(2, '\0'),
                                           "\xff",
                                           "\\u",
                                           "9223372036854775807",
                                           "18446744073709551615",
                                           "\"data_offsets\":",
                                           "\"shape\":[0,0,0]",
                                           "\"__metadata__\":{}"};
  const RandomStream stream{.seed = 20, .purpose = purpose_of("mutations"), .step = 0};
  uint64_t drawn = 0;
  const auto below = [&](uint64_t limit) { return stream.below(limit, drawn++); };
  int read = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = original;
    for (uint64_t change = below(4) + 1; change > 0; --change) {
      // Mostly in the header, and now and then in its length.
      const size_t at = below(10) == 0 ? below(8) : 8 + below(bytes.size() - 8);
      switch (below(5)) {
        case 0:
          bytes[at] ^= static_cast<char>(1 << below(8));
          break;
        case 1:
          bytes.erase(at, below(20));
          break;
        case 2:
          bytes.insert(at, pieces[below(pieces.size())]);
          break;
        case 3:
          bytes.insert(at, bytes.substr(below(bytes.size()), below(60)));
          break;
        case 4: {
          const std::string& piece = pieces[below(pieces.size())];
          bytes.replace(at, piece.size(), piece);
        }
      }
      if (bytes.size() < 16) break;
    }
    // Without the right length, most changes of the header would never be seen.
    if (bytes.size() > 8 && below(2) == 0) {
      const uint64_t header_bytes =
          std::min(bytes.find('}', bytes.size() / 2), bytes.size() - 9) - 7;
      std::memcpy(bytes.data(), &header_bytes, 8);
    }
    fs::remove(path);
    write_file(path, bytes);
    allocator(Device::cpu).reset_peak();
    const size_t before = allocator(Device::cpu).statistics().peak_bytes;
    try {
      const SafetensorsFile file = read_safetensors(path);
      ++read;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), StartsWith(path.string() + ": "));
    }
    EXPECT_LE(allocator(Device::cpu).statistics().peak_bytes - before, 2 * bytes.size() + 1024);
  }
  EXPECT_GT(read, 20) << "the mutations are too wild to test much";
}

}  // namespace
}  // namespace folio
