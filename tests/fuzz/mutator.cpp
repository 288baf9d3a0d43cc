#include "fuzz/mutator.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "folio/tensor/random.h"

namespace folio {
namespace {

// Where parsers and their callers change their minds.
constexpr std::array<std::string_view, 22> numbers = {"0",
                                                      "-0",
                                                      "-1",
                                                      "1",
                                                      "127",
                                                      "256",
                                                      "65536",
                                                      "2147483647",
                                                      "2147483648",
                                                      "4294967296",
                                                      "-2147483649",
                                                      "9223372036854775807",
                                                      "9223372036854775808",
                                                      "-9223372036854775809",
                                                      "18446744073709551615",
                                                      "18446744073709551616",
                                                      "0.1",
                                                      "1e308",
                                                      "1e309",
                                                      "-1e-400",
                                                      "1E+2",
                                                      "00012"};
constexpr std::array<uint64_t, 12> words = {0,
                                            1,
                                            7,
                                            0x7F,
                                            0xFF,
                                            0x7FFFFFFF,
                                            0x80000000,
                                            0xFFFFFFFF,
                                            100'000'001,
                                            INT64_MAX,
                                            uint64_t{1} << 63,
                                            UINT64_MAX - 7};
// What opens a level of nesting, and what closes it.
constexpr std::array<std::array<std::string_view, 2>, 8> brackets = {{{"[", "]"},
                                                                      {"{\"a\":", "}"},
                                                                      {"{", "}"},
                                                                      {"[[],", "]"},
                                                                      {"- ", ""},
                                                                      {"? ", ""},
                                                                      {"a: {", "}"},
                                                                      {"\"", ""}}};
constexpr std::string_view letters =
    "[]{}\"':,&*!|>%@`#-?~ \t\n\r.0123456789eE_xa\\/\x00\x7f\x80\xbf\xc3\xe2\xed\xf0\xff";

class Mutator {
 public:
  Mutator(const FuzzTarget& target, uint64_t seed, uint64_t index)
      : target_(target), random_{seed, purpose_of(target.name), static_cast<uint32_t>(index)} {}

  std::string make() {
    text_ = any(target_.corpus);
    // Few mutations mostly: with many, little is left that a parser would follow far.
    for (uint64_t left = 1 + below(uint64_t{1} << below(5)); left > 0; --left) {
      mutate();
      if (text_.size() > most_input_bytes) text_.resize(most_input_bytes);
    }
    if (target_.mend != nullptr && below(2) == 0) text_ = target_.mend(std::move(text_));
    return std::move(text_);
  }

 private:
  uint64_t below(uint64_t bound) { return random_.bits(drawn_++) % std::max<uint64_t>(bound, 1); }

  template <class List>
  const typename List::value_type& any(const List& list) {
    return list[below(list.size())];
  }

  // A place between two bytes, or at either end.
  size_t place() { return below(text_.size() + 1); }

  // The length of a piece that begins at `from`, mostly short.
  size_t length(const std::string& text, size_t from) {
    return below(std::min<size_t>(text.size() - from, below(4) == 0 ? most_input_bytes : 16) + 1);
  }

  std::string repeated(std::string_view piece, size_t times) const {
    std::string text;
    for (; times > 0 && text.size() < most_input_bytes; --times) text += piece;
    return text;
  }

  // How often something is repeated, seldom very often.
  size_t times() { return 1 + below(below(16) == 0 ? 20'000 : 20); }

  void mutate() {
    switch (below(14)) {
      case 0:
        return flip_bits();
      case 1:
        return put(std::string(1, static_cast<char>(below(256))), /*over=*/true);
      case 2:
        return put(std::string(1, any(letters)), below(2) == 0);
      case 3:
        return erase();
      case 4:
        return repeat();
      case 5:
        return move();
      case 6:
        return splice();
      case 7:
        return cross();
      case 8:
      case 9:
        return put(any(target_.dictionary), below(4) == 0);
      case 10:
        return change_number();
      case 11:
        return change_word();
      case 12:
        return nest();
      default:
        return below(4) == 0 ? text_.resize(place()) : change_lines();
    }
  }

  void flip_bits() {
    if (text_.empty()) return;
    for (uint64_t left = 1 + below(3); left > 0; --left) {
      text_[below(text_.size())] ^= static_cast<char>(1u << below(8));
    }
  }

  void put(const std::string& piece, bool over) {
    const size_t from = place();
    text_.replace(from, over ? piece.size() : 0, piece);
  }

  void erase() {
    const size_t from = place();
    text_.erase(from, length(text_, from));
  }

  void repeat() {
    const size_t from = place();
    const std::string piece = text_.substr(from, length(text_, from));
    text_.insert(from, repeated(piece, times()));
  }

  void move() {
    const size_t from = place();
    const std::string piece = text_.substr(from, length(text_, from));
    text_.erase(from, piece.size());
    text_.insert(place(), piece);
  }

  void splice() {
    const std::string& other = any(target_.corpus);
    const size_t from = below(other.size() + 1);
    put(other.substr(from, length(other, from)), below(2) == 0);
  }

  // The beginning of this one, the end of another.
  void cross() {
    const std::string& other = any(target_.corpus);
    text_.resize(place());
    text_ += other.substr(below(other.size() + 1));
  }

  void change_number() {
    constexpr std::string_view digits = "0123456789";
    size_t from = text_.find_first_of(digits, place());
    if (from == std::string::npos) from = text_.find_first_of(digits);
    if (from == std::string::npos) return put(std::string(any(numbers)), false);
    const size_t end = std::min(text_.find_first_not_of("0123456789.eE+-", from), text_.size());
    const std::string number = below(16) == 0 ? repeated(any(digits) == '0' ? "0" : "9", times())
                                              : std::string(any(numbers));
    text_.replace(from, end - from, number);
  }

  // A little-endian number of 2, 4 or 8 bytes; often the first, where formats keep lengths.
  void change_word() {
    const size_t width = size_t{2} << below(3);
    if (text_.size() < width) return;
    const size_t from = below(2) == 0 ? 0 : below(text_.size() - width + 1);
    const uint64_t word = any(words) + (below(2) == 0 ? 0 : text_.size());
    for (size_t i = 0; i < width; ++i) text_[from + i] = static_cast<char>(word >> (8 * i));
  }

  void nest() {
    const auto& [open, close] = any(brackets);
    const size_t depth = times(), from = place();
    text_.insert(from, repeated(open, depth));
    if (below(2) == 0) {
      text_.insert(std::min(text_.size(), from + depth * open.size() + below(16)),
                   repeated(close, depth));
    }
  }

  // A line twice, or not at all, or at the end.
  void change_lines() {
    size_t from = text_.find('\n', place());
    from = from == std::string::npos ? 0 : from + 1;
    const size_t end = std::min(text_.find('\n', from), text_.size() - 1) + 1;
    const std::string line = text_.substr(from, end - from);
    const uint64_t what = below(3);
    if (what > 0) text_.erase(from, line.size());
    if (what == 0) text_.insert(from, line);
    if (what == 1) text_ += line;
  }

  const FuzzTarget& target_;
  RandomStream random_;
  uint64_t drawn_ = 0;
  std::string text_;
};

}  // namespace

std::string fuzz_input(const FuzzTarget& target, uint64_t seed, uint64_t index) {
  if (index < target.corpus.size()) return target.corpus[index];
  return Mutator(target, seed, index).make();
}

}  // namespace folio
