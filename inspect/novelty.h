// How much of a sample the model knows by heart: the longest span that stands verbatim in the text
// that it was trained on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "folio/data/tokenizer.h"
#include "folio/run/config.h"

namespace folio {

/// Where two texts agree, in bytes; whole UTF-8 characters.
struct VerbatimSpan {
  int64_t length = 0;
  int64_t text_offset = 0;
  int64_t sample_offset = 0;
};

/// The longest span of whole characters of `sample` that stands in `text`, both valid UTF-8; of
/// several the first in `text`, at its first place in `sample`. Takes one pass over each, in time
/// and memory proportional to their lengths: the suffix automaton of the sample (Blumer et al.
/// 1985, "The smallest automaton recognizing the subwords of a text") reads the text.
VerbatimSpan longest_verbatim_span(std::string_view text, std::string_view sample);

/// The part of the run's text that it learns from, as it lies in the file: byte i of one is byte i
/// of the other. Of a prepared text, what its tokens say. Throws Error as find_run_text() does.
std::string read_training_text(const std::filesystem::path& run, const Config& config,
                               const Tokenizer& tokenizer);

/// The span as one line of text: its length, its place in the text and the span itself in quotes.
std::string describe(const VerbatimSpan& span, std::string_view sample);

}  // namespace folio
