#include "folio/io/output.h"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "folio/tensor/error.h"

namespace folio {
namespace {

enum class Output : uint8_t { needed, welcome, lost };
Output output = Output::needed;

/// The value in one of the first `prefixes` units of thousands, and the unit's prefix.
std::pair<double, std::string_view> scaled(double value, size_t prefixes) {
  constexpr std::array<std::string_view, 7> all = {"", "k", "M", "G", "T", "P", "E"};
  size_t prefix = 0;
  for (; prefix < prefixes && value >= 999.5; ++prefix) value /= 1000.0;
  return {value, all[prefix]};
}

}  // namespace

void make_output_optional() { output = Output::welcome; }

void silence_output() { output = Output::lost; }

void print(std::string_view text) {
  if (output == Output::lost) return;
  errno = 0;
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written && output == Output::welcome) {
    output = Output::lost;
    const std::string note =
        fmt::format("folio: standard output cannot be written: {}; going on without it\n",
                    std::strerror(errno));
    std::fputs(note.c_str(), stderr);
    return;
  }
  if (!written && errno == EPIPE) throw ReaderIsGone();
  FOLIO_CHECK(written, "standard output", "cannot be written: {}; check where it goes",
              std::strerror(errno));
}

std::string shell_quoted(const std::string& word) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:@%=";
  if (!word.empty() && word.find_first_not_of(plain) == word.npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string grouped(int64_t number) {
  const std::string digits = fmt::format("{}", number);
  std::string result;
  for (size_t i = 0; i < digits.size(); ++i) {
    const bool after_digit = i > 0 && digits[i - 1] != '-';
    if (after_digit && (digits.size() - i) % 3 == 0) result += ',';
    result += digits[i];
  }
  return result;
}

std::string short_number(double value) {
  return std::isnan(value) ? "nan" : fmt::format("{:.6g}", value);
}

std::string human_bytes(double bytes) {
  const auto [value, prefix] = scaled(bytes, 4);
  return fmt::format("{:.{}f} {}B", value, prefix.empty() || value >= 99.95 ? 0 : 1, prefix);
}

std::string human_flops(double flops) {
  const auto [value, prefix] = scaled(flops, 6);
  return fmt::format("{:.{}f} {}FLOP", value, value >= 99.5 ? 0 : 1, prefix);
}

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0.0) return "?";
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace folio
