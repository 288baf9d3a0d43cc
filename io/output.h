// Checked writes to standard output, and numbers formatted for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace folio {

/// Thrown by print() if the reader has closed the pipe (folio ... | head). No message is needed.
struct ReaderIsGone {};

/// Writes text to standard output and flushes it. Throws ReaderIsGone, or Error with the system's
/// reason (such as a full disk), so that a command whose result is lost does not succeed.
void print(std::string_view text);

/// Makes output optional, for commands whose results are files: the first print() that fails
/// reports that on stderr, and print() does nothing from then on.
void make_output_optional();

/// Makes print() do nothing, for ranks other than 0.
void silence_output();

/// `word` as one word of a shell command: quoted if it has special characters.
std::string shell_quoted(const std::string& word);

/// 1115394 as "1,115,394".
std::string grouped(int64_t number);

/// A number with six significant digits: "3.40282e+38", "inf", "nan" (for either sign).
std::string short_number(double value);

/// Bytes as "3.2 MB" (powers of 1000).
std::string human_bytes(double bytes);

/// Arithmetic as "3.9 GFLOP" (powers of 1000).
std::string human_flops(double flops);

/// Seconds as "7.3 s", "2 min 05 s" or "3 h 02 min".
std::string human_seconds(double seconds);

}  // namespace folio
