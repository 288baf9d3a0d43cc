// A text and a config small enough for tests that train.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "folio/run/config.h"
#include "folio/tensor/random.h"

namespace folio {

/// About `length` characters of made-up sentences, the same every time.
inline std::string tiny_text(size_t length = 4000) {
  constexpr std::string_view words[] = {"my",    "lord", "the",   "king",  "is",   "dead",
                                        "speak", "no",   "more",  "of",    "this", "sweet",
                                        "night", "and",  "let",   "us",    "away", "good",
                                        "sir,",  "what", "news?", "alas!", "thou", "art"};
  const RandomStream stream{.seed = 5, .purpose = purpose_of("tiny text"), .step = 0};
  std::string text;
  for (uint64_t i = 0; text.size() < length; ++i) {
    text += words[stream.below(std::size(words), i)];
    text += i % 7 == 6 ? "\n" : " ";
  }
  return text;
}

/// Two layers of width 16 on `text`, in f32 on every machine; dropout and label smoothing are on.
inline std::string tiny_yaml(const std::filesystem::path& text) {
  return "data: {text: " + text.string() +
         "}\n"
         "model: {layers: 2, heads: 2, width: 16, context: 12, dropout: 0.1}\n"
         "train: {steps: 20, batch: 8, seed: 3, precision: f32, label_smoothing: 0.1,\n"
         "        eval_every: 5, eval_batches: 2, checkpoint_every: 0, sample_at: []}\n"
         "optimizer: {lr: 1.0e-2}\n"
         "schedule: {warmup: 4, final_lr: 1.0e-3}\n";
}

inline Config tiny_config(const std::filesystem::path& text,
                          const std::vector<std::string>& overrides = {}) {
  return parse_config(tiny_yaml(text), "tiny.yaml", overrides);
}

}  // namespace folio
