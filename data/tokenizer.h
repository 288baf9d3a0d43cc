// Tokenizers turn text into token numbers and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace folio {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// The name in configs: "char", "bpe", ....
  virtual std::string_view kind() const = 0;
  /// The number of different tokens. Tokens are 0 to vocabulary() - 1.
  virtual int64_t vocabulary() const = 0;
  /// The tokens of UTF-8 text. Throws Error(where, ...) for invalid UTF-8, and for an unknown
  /// character unless the tokenizer replaces those; the message names the byte position.
  virtual std::vector<int32_t> encode(std::string_view text, std::string_view where) const = 0;
  /// The text of tokens, which may begin or end within a character. Throws Error for a token that
  /// is not in the vocabulary.
  virtual std::string decode(std::span<const int32_t> tokens) const = 0;
  /// A JSON description, from which tokenizer_from_json() makes the same tokenizer.
  virtual std::string to_json() const = 0;
  /// The token between documents, if there is one.
  virtual std::optional<int32_t> end_of_text() const { return std::nullopt; }

  /// 16 hexadecimal digits that identify the tokenizer: hash_of(to_json()).
  std::string hash() const;
};

/// The treatment of a character that is not in the vocabulary.
enum class UnknownCharacter : uint8_t { error, replace };

/// The set of characters in texts.
class CharacterSet {
 public:
  /// Adds the characters of `text`. Throws Error(where, ...) for invalid UTF-8.
  void add(std::string_view text, std::string_view where);
  /// The characters in the order of code points.
  std::vector<char32_t> characters() const;

 private:
  std::vector<uint64_t> present_ = std::vector<uint64_t>(0x110000 / 64);  // a bit per code point
};

/// A token per character (Unicode code point), numbered in the order of code points, as in
/// nanoGPT's shakespeare_char. With `replace`, one more token replaces every other character and
/// decodes to U+FFFD.
class CharTokenizer : public Tokenizer {
 public:
  /// A tokenizer for the characters of `text`. Throws Error(where, ...) if it is empty or not
  /// UTF-8.
  static std::unique_ptr<CharTokenizer> build(std::string_view text, UnknownCharacter unknown,
                                              std::string_view where);
  /// `characters` must be sorted and distinct.
  CharTokenizer(std::vector<char32_t> characters, UnknownCharacter unknown);

  std::string_view kind() const override { return "char"; }
  int64_t vocabulary() const override;
  std::vector<int32_t> encode(std::string_view text, std::string_view where) const override;
  std::string decode(std::span<const int32_t> tokens) const override;
  std::string to_json() const override;

 private:
  std::vector<char32_t> characters_;
  UnknownCharacter unknown_;
};

/// Makes a tokenizer from its to_json(). Throws Error(where, ...) for anything else.
std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view json, std::string_view where);

/// The file of a checkpoint or a prepared text that has the tokenizer.
inline constexpr const char* tokenizer_file = "tokenizer.json";

/// Throws Error with the path if the file cannot be read or is not a tokenizer.
std::unique_ptr<Tokenizer> read_tokenizer(const std::filesystem::path& path);

}  // namespace folio
