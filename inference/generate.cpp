#include "folio/inference/generate.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "folio/io/utf8.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"
#include "folio/tensor/random.h"

namespace folio {
namespace {

/// Side by side at most: as many rows as a kernel multiplies in the same way as a single one
/// (kernels/cpu/gemm_few_rows.h), so that company changes no sample.
constexpr int64_t most_samples = 16;

/// The token that replaces an empty prompt: a line break or, if there is none, token 0.
int32_t first_token(const Tokenizer& tokenizer) {
  for (int32_t token = 0; token < tokenizer.vocabulary(); ++token) {
    if (tokenizer.decode({&token, 1}) == "\n") return token;
  }
  return 0;
}

/// One text that grows: its tokens, prompt included, its random numbers, and what it says so far.
struct Sample {
  std::vector<int32_t> tokens;
  RandomStream random;
  std::string text;
};

/// A model that reads several texts at once, each as long as the others.
class Reader {
 public:
  Reader(const LanguageModel& model, int64_t count)
      : model_(model), tape_(model.device()), state_(model.begin({}, count)), logits_(count) {
    tape_.set_recording(false);
  }

  /// Reads what all have in common, once.
  void read_prompt(std::span<const int32_t> tokens) {
    DecoderState first = state_.part(0);
    std::ranges::fill(logits_, read(first, tokens, 1));
    state_.length = first.length;
    for (const Tensor& tensor : state_.tensors) {
      for (int64_t i = 1; i < state_.texts(); ++i) {
        const Tensor other =
            tensor.view(i * tensor.numel() / state_.texts(), tensor.shape().with(0, 1));
        tape_.kernels().copy_range({&other, false}, 0, tensor, 0, 1, 0);
      }
    }
  }

  /// Reads the last token of each.
  void read_last(const std::vector<Sample>& samples) {
    if (state_.length == model_.context()) return begin_anew(samples);
    newest_.clear();
    for (const Sample& sample : samples) newest_.push_back(sample.tokens.back());
    const Tensor all = read(state_, newest_, state_.texts());
    const int64_t classes = all.numel() / state_.texts();
    for (int64_t i = 0; i < state_.texts(); ++i) logits_[i] = all.view(i * classes, {classes});
  }

  /// Logits of the next token of text `index`.
  std::span<const float> logits(size_t index) {
    host_row_ = on_device(logits_[index], Device::cpu);
    const Tensor& row = host_row_;
    if (row.dtype() == DType::f32) return {row.data<float>(), static_cast<size_t>(row.numel())};
    if (row.dtype() == DType::bf16) {
      const std::vector<bf16> values = row.to_vector<bf16>();
      converted_.assign(values.begin(), values.end());
    } else {
      const std::vector<double> values = row.to_vector<double>();
      converted_.assign(values.begin(), values.end());
    }
    return converted_;
  }

 private:
  /// The window's newest half, text by text: then none depends on how many there are.
  void begin_anew(const std::vector<Sample>& samples) {
    const int64_t length = window_length(model_.context() + 1, model_.context());
    for (int64_t i = 0; i < state_.texts(); ++i) {
      DecoderState one = state_.part(i);
      logits_[i] = read(one, std::span(samples[i].tokens).last(length), 1);
    }
    state_.length = length;
  }

  /// tokens: `batch` rows of as many. Result: the logits of each row's last, (batch, 1, V).
  Tensor read(DecoderState& state, std::span<const int32_t> tokens, int64_t batch) {
    const Tensor input({batch, std::ssize(tokens) / batch}, DType::i32);
    std::ranges::copy(tokens, input.data<int32_t>());
    return model_.next(tape_, input, state).value;
  }

  const LanguageModel& model_;
  Tape tape_;
  DecoderState state_;
  std::vector<Tensor> logits_;  // (V), one a text
  Tensor host_row_;             // the one that was asked for last
  std::vector<int32_t> newest_;
  std::vector<float> converted_;
};

using Emit = std::function<void(std::string_view)>;

/// Texts `first` to `first` + `count` - 1; emit gets the pieces of the first of them.
std::vector<std::string> generate_batch(const LanguageModel& model, const Tokenizer& tokenizer,
                                        std::string_view prompt, const SamplingOptions& options,
                                        int64_t first, int64_t count, const Emit& emit) {
  FOLIO_CHECK(tokenizer.vocabulary() == model.vocabulary(), "sampling",
              "the tokenizer has {} tokens but the model {}; they must come from one run",
              tokenizer.vocabulary(), model.vocabulary());
  TokenChooser chooser(options);
  std::vector<int32_t> tokens = tokenizer.encode(prompt, "prompt");
  if (tokens.empty()) tokens.push_back(first_token(tokenizer));
  const int64_t seen =
      model.context() == 0 ? std::ssize(tokens) : std::min(std::ssize(tokens), model.context());

  std::vector<Sample> samples(count);
  for (int64_t i = 0; i < count; ++i) {
    samples[i].tokens = tokens;
    samples[i].random = {.seed = options.seed,
                         .purpose = purpose_of("sampling"),
                         .step = static_cast<uint32_t>(first + i)};
  }
  size_t emitted = 0;
  const auto emit_up_to = [&](size_t end) {
    if (emit && end > emitted) {
      emit(repaired_utf8(std::string_view(samples.front().text).substr(emitted, end - emitted)));
    }
    emitted = end;
  };
  Reader reader(model, count);
  for (int64_t position = 0; position < options.max_tokens; ++position) {
    if (position == 0) {
      reader.read_prompt(std::span(tokens).last(seen));
    } else {
      reader.read_last(samples);
    }
    for (int64_t i = 0; i < count; ++i) {
      Sample& sample = samples[i];
      sample.tokens.push_back(
          chooser.choose(reader.logits(i), sample.random.uniform(static_cast<uint64_t>(position))));
      sample.text += tokenizer.decode(std::span(sample.tokens).last(1));
    }
    const std::string& text = samples.front().text;
    emit_up_to(complete_utf8(text).size());
  }
  emit_up_to(samples.front().text.size());
  std::vector<std::string> texts;
  for (const Sample& sample : samples) texts.push_back(repaired_utf8(sample.text));
  return texts;
}

/// Of all ranks, in their order, from those of this one.
std::vector<std::string> gather_texts(const std::vector<std::string>& texts, const Parts& parts,
                                      Communicator& ranks) {
  std::vector<std::string> all(static_cast<size_t>(parts.count));
  const int64_t most = (parts.count + ranks.size() - 1) / ranks.size();
  for (int64_t i = 0; i < most; ++i) {
    const bool there = i < std::ssize(texts);
    const auto row = ranks.all_gather_text(there ? texts[static_cast<size_t>(i)] : "");
    for (int r = 0; r < ranks.size(); ++r) {
      const SlabRange part = parts.of(r);
      if (i < part.size()) all[static_cast<size_t>(part.begin + i)] = row[static_cast<size_t>(r)];
    }
  }
  return all;
}

}  // namespace

int64_t window_length(int64_t count, int64_t context) {
  if (count <= context) return count;
  const int64_t half = std::max<int64_t>(1, context / 2);
  return half + (count - context - 1) % (context - half + 1);
}

std::string generate(const LanguageModel& model, const Tokenizer& tokenizer,
                     std::string_view prompt, const SamplingOptions& options, const Emit& emit) {
  return generate_batch(model, tokenizer, prompt, options, 0, 1, emit).front();
}

std::vector<std::string> generate_samples(const LanguageModel& model, const Tokenizer& tokenizer,
                                          std::string_view prompt, const SamplingOptions& options,
                                          int64_t count, Communicator& ranks) {
  FOLIO_CHECK(count >= 1, "sampling", "{} samples are asked for; wanted at least 1", count);
  const Parts parts{.count = count, .ranks = ranks.size()};
  const SlabRange own = parts.of(ranks.rank());
  std::vector<std::string> texts;
  while (std::ssize(texts) < own.size()) {
    const int64_t first = own.begin + std::ssize(texts);
    std::ranges::move(generate_batch(model, tokenizer, prompt, options, first,
                                     std::min(most_samples, own.end - first), {}),
                      std::back_inserter(texts));
  }
  return ranks.size() == 1 ? texts : gather_texts(texts, parts, ranks);
}

}  // namespace folio
