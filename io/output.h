// Standard output, checked, and numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace folio {

/// What print() throws where nobody reads any more (folio ... | head): nothing is to be said.
struct ReaderIsGone {};

/// Writes text to standard output and flushes it. Throws Error with the system's reason (the disk
/// is full, ...), so that no command succeeds whose result was lost, or ReaderIsGone.
void print(std::string_view text);

/// For a command whose result lies in files: the first print() that fails is told on stderr, and
/// from then on print() does nothing.
void go_on_without_output();

/// For a rank that another one speaks for: print() does nothing.
void leave_output_to_rank_0();

/// As one word of a shell's command line: quoted where it has other than plain characters.
std::string for_the_shell(const std::string& word);

/// 1115394 as "1,115,394".
std::string grouped(int64_t number);

/// Six digits of a number: "3.40282e+38", "inf", "nan" (whatever its sign).
std::string short_number(double value);

/// Bytes as "3.2 MB" (powers of 1000).
std::string human_bytes(double bytes);

/// Arithmetic as "3.9 GFLOP" (powers of 1000).
std::string human_flops(double flops);

/// Seconds as "7.3 s", "2 min 05 s" or "3 h 02 min".
std::string human_seconds(double seconds);

}  // namespace folio
