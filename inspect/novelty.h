// Memorization: the longest span of a sample that is copied verbatim from the training text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "folio/data/tokenizer.h"
#include "folio/run/config.h"

namespace folio {

/// A common span of two texts in bytes, of whole UTF-8 characters.
struct VerbatimSpan {
  int64_t length = 0;
  int64_t text_offset = 0;
  int64_t sample_offset = 0;
};

/// The longest span of whole characters that `sample` and `text` have in common, both valid UTF-8;
/// of several, the first in `text` at its first position in `sample`. Runs the suffix automaton of
/// the sample (Blumer et al. 1985, "The smallest automaton recognizing the subwords of a text")
/// over the text, in time and memory linear in their lengths.
VerbatimSpan longest_verbatim_span(std::string_view text, std::string_view sample);

/// The training part of the run's text. It has the bytes of the file, or is decoded from the tokens
/// of a prepared text. Throws Error as find_run_text() does.
std::string read_training_text(const std::filesystem::path& run, const Config& config,
                               const Tokenizer& tokenizer);

/// The span as a line of text: its length, its offset in the text and the span in quotes.
std::string describe(const VerbatimSpan& span, std::string_view sample);

}  // namespace folio
