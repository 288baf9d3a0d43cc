// Tokenizers turn text into token numbers and back.
#pragma once

#include <cstdint>
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

  /// "char", "bpe", ...: the name in configs.
  virtual std::string_view kind() const = 0;
  /// Number of different tokens; tokens are 0 .. vocabulary() - 1.
  virtual int64_t vocabulary() const = 0;
  /// The tokens of valid UTF-8 text. Throws Error, beginning with `where`, for invalid UTF-8, or
  /// for a character that the tokenizer does not know and does not replace, naming the character
  /// and its byte position.
  virtual std::vector<int32_t> encode(std::string_view text, std::string_view where) const = 0;
  /// The text of tokens, which may begin or end inside a character. Throws Error for a token
  /// outside the vocabulary.
  virtual std::string decode(std::span<const int32_t> tokens) const = 0;
  /// Everything needed to make the same tokenizer again, as JSON.
  virtual std::string to_json() const = 0;
  /// The token that stands between documents, if there is one.
  virtual std::optional<int32_t> end_of_text() const { return std::nullopt; }

  /// 16 hexadecimal digits that differ between different tokenizers: hash_of(to_json()).
  std::string hash() const;
};

/// What happens to a character that is not in the vocabulary.
enum class UnknownCharacter : uint8_t { error, replace };

/// The different characters of texts.
class CharacterSet {
 public:
  /// Throws Error, beginning with `where`, for bad UTF-8.
  void add(std::string_view text, std::string_view where);
  /// In the order of code points.
  std::vector<char32_t> characters() const;

 private:
  std::vector<uint64_t> present_ = std::vector<uint64_t>(0x110000 / 64);  // a bit for each
};

/// One token a character (Unicode code point), numbered in the order of code points, as nanoGPT's
/// shakespeare_char does. With `replace` one further token stands for every other character; it
/// decodes to U+FFFD.
class CharTokenizer : public Tokenizer {
 public:
  /// The characters of `text`. Throws Error, beginning with `where`, for empty text or bad UTF-8.
  static std::unique_ptr<CharTokenizer> build(std::string_view text, UnknownCharacter unknown,
                                              std::string_view where);
  /// `characters` must be sorted and without repetition.
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

/// The tokenizer that to_json() described. Throws Error, beginning with `where`, for anything else.
std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view json, std::string_view where);

}  // namespace folio
