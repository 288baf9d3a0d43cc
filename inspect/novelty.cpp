#include "folio/inspect/novelty.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "folio/data/corpus.h"
#include "folio/data/prepared_text.h"
#include "folio/io/files.h"
#include "folio/io/output.h"
#include "folio/io/utf8.h"
#include "folio/run/text_identity.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

/// Recognizes every substring of a text as a path from the root. A state represents the substrings
/// with the same end positions; `link` leads to the longest proper suffix with more end positions.
class SuffixAutomaton {
 public:
  explicit SuffixAutomaton(std::string_view text) {
    states_.reserve(2 * text.size() + 1);
    states_.emplace_back();
    int32_t last = root;
    for (char byte : text) last = append(last, byte);
  }

  /// Reads one byte. (state, length) is the longest suffix of the bytes read so far that is a
  /// substring of the text.
  void read(char byte, int32_t& state, int64_t& length) const {
    for (;;) {
      if (const int32_t next = step(state, byte); next != none) {
        state = next;
        ++length;
        return;
      }
      if (state == root) return;
      state = states_[state].link;
      length = states_[state].length;
    }
  }

  static constexpr int32_t root = 0;

 private:
  static constexpr int32_t none = -1;

  struct State {
    int64_t length = 0;  // of the longest substring
    int32_t link = none;
    std::vector<std::pair<char, int32_t>> edges;  // rarely more than one
  };

  int32_t step(int32_t state, char byte) const {
    for (const auto& [label, next] : states_[state].edges) {
      if (label == byte) return next;
    }
    return none;
  }

  void redirect(int32_t state, char byte, int32_t next) {
    for (auto& [label, target] : states_[state].edges) {
      if (label == byte) target = next;
    }
  }

  /// Appends one byte to the text, whose state is `last`, and returns the new state.
  int32_t append(int32_t last, char byte) {
    const auto added = static_cast<int32_t>(states_.size());
    states_.push_back({.length = states_[last].length + 1, .link = root, .edges = {}});
    int32_t p = last;
    for (; p != none && step(p, byte) == none; p = states_[p].link) {
      states_[p].edges.emplace_back(byte, added);
    }
    if (p == none) return added;
    const int32_t q = step(p, byte);
    if (states_[q].length == states_[p].length + 1) {
      states_[added].link = q;
      return added;
    }
    // The shorter substrings of q now have one more end position than the longer ones.
    const auto clone = static_cast<int32_t>(states_.size());
    states_.push_back(
        {.length = states_[p].length + 1, .link = states_[q].link, .edges = states_[q].edges});
    for (; p != none && step(p, byte) == q; p = states_[p].link) redirect(p, byte, clone);
    states_[q].link = states_[added].link = clone;
    return added;
  }

  std::vector<State> states_;
};

}  // namespace

VerbatimSpan longest_verbatim_span(std::string_view text, std::string_view sample) {
  const SuffixAutomaton automaton(sample);
  VerbatimSpan best;
  int32_t state = SuffixAutomaton::root;
  int64_t length = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    automaton.read(text[i], state, length);
    if (length <= best.length) continue;
    const size_t end = i + 1;
    if (end < text.size() && is_continuation(text[end])) continue;
    size_t begin = end - static_cast<size_t>(length);
    while (begin < end && is_continuation(text[begin])) ++begin;
    const auto whole = static_cast<int64_t>(end - begin);
    if (whole > best.length) best = {whole, static_cast<int64_t>(begin), 0};
  }
  if (best.length > 0) {
    best.sample_offset =
        static_cast<int64_t>(sample.find(text.substr(best.text_offset, best.length)));
  }
  return best;
}

std::string read_training_text(const std::filesystem::path& run, const Config& config,
                               const Tokenizer& tokenizer) {
  const std::filesystem::path path = find_run_text(run, config).path;
  if (is_prepared(path)) {
    const PreparedText prepared = open_prepared(path);
    return text_of(tokenizer,
                   split_corpus(path, prepared.facts.bytes, prepared.tokens, prepared.storage,
                                config.data.validation_fraction, config.model.context())
                       .train());
  }
  std::string text = read_file(path);
  const Corpus corpus =
      make_corpus(path, text, tokenizer, config.data.validation_fraction, config.model.context());
  // Counts characters instead of bytes, since unknown characters may have been replaced.
  const std::string learned = text_of(tokenizer, corpus.train());
  int64_t characters = count_characters(learned);
  size_t end = 0;
  while (end < text.size() && (characters > 0 || is_continuation(text[end]))) {
    characters -= is_continuation(text[end++]) ? 0 : 1;
  }
  text.resize(end);
  return text;
}

std::string describe(const VerbatimSpan& span, std::string_view sample) {
  if (span.length == 0) return "no part of it is in the training text";
  const std::string quoted = nlohmann::json(sample.substr(span.sample_offset, span.length))
                                 .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return fmt::format(
      "the longest span that is in the training text: {} of {} bytes, at byte {}: {}",
      grouped(span.length), grouped(std::ssize(sample)), grouped(span.text_offset), quoted);
}

}  // namespace folio
