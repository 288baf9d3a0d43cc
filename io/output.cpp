#include "folio/io/output.h"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "folio/tensor/error.h"

namespace folio {
namespace {

enum class Output : uint8_t { needed, welcome, lost };
Output output = Output::needed;

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
  constexpr std::array<const char*, 5> units = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (unit + 1 < units.size() && bytes >= 999.5) {
    bytes /= 1000.0;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 || bytes >= 99.95 ? 0 : 1, units[unit]);
}

std::string human_flops(double flops) {
  const char* units[] = {"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"};
  size_t unit = 0;
  while (unit + 1 < std::size(units) && flops >= 999.5) {
    flops /= 1000.0;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", flops, flops >= 99.5 ? 0 : 1, units[unit]);
}

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0.0) return "?";
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace folio
