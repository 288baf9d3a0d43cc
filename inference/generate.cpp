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

/// The largest batch of texts. The kernel for few rows (kernels/cpu/gemm_few_rows.h) multiplies
/// this many rows as it multiplies one, so a text does not depend on the others in its batch.
constexpr int64_t most_samples = 16;

/// The token that replaces an empty prompt: a line break or, if there is none, token 0.
int32_t first_token(const Tokenizer& tokenizer) {
  for (int32_t token = 0; token < tokenizer.vocabulary(); ++token) {
    if (tokenizer.decode({&token, 1}) == "\n") return token;
  }
  return 0;
}

/// A text in progress: its tokens with those of the prompt, its random numbers and the new text.
struct Sample {
  std::vector<int32_t> tokens;
  RandomStream random;
  std::string text;
};

/// Runs a model on several texts of equal length.
class Reader {
 public:
  Reader(const LanguageModel& model, int64_t count)
      : model_(model), tape_(model.device()), state_(model.begin({}, count)), logits_(count) {
    tape_.set_recording(false);
  }

  /// Reads the prompt, which all texts share, once.
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

  /// Reads the last token of each text.
  void read_last(const std::vector<Sample>& samples) {
    if (state_.length == model_.context()) return restart(samples);
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
  /// Restarts with the newest half of the window. Reads the texts one by one, so that the result
  /// does not depend on their number.
  void restart(const std::vector<Sample>& samples) {
    const int64_t length = window_length(model_.context() + 1, model_.context());
    for (int64_t i = 0; i < state_.texts(); ++i) {
      DecoderState one = state_.part(i);
      logits_[i] = read(one, std::span(samples[i].tokens).last(length), 1);
    }
    state_.length = length;
  }

  /// `tokens` has `batch` rows of equal length. Returns the logits after each row, (batch, 1, V).
  Tensor read(DecoderState& state, std::span<const int32_t> tokens, int64_t batch) {
    const Tensor input({batch, std::ssize(tokens) / batch}, DType::i32);
    std::ranges::copy(tokens, input.data<int32_t>());
    return model_.next(tape_, input, state).value;
  }

  const LanguageModel& model_;
  Tape tape_;
  DecoderState state_;
  std::vector<Tensor> logits_;  // (V) per text
  Tensor host_row_;             // the row of the last logits()
  std::vector<int32_t> newest_;
  std::vector<float> converted_;
};

using Emit = std::function<void(std::string_view)>;

/// Generates texts `first` to `first` + `count` - 1 and emits the pieces of the first of them.
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

/// Collects the texts of all ranks in order. `texts` are those of this rank.
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
