// The reports of the black box as text and as JSON.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "folio/inspect/blackbox.h"
#include "folio/io/json.h"
#include "folio/io/output.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr size_t most_whole_samples = 4;  // printed with their full text
constexpr int64_t most_lines = 3;         // of each sample, if the bad sample is unknown

/// The indices (row, column, ...) of an element in row-major order.
std::vector<int64_t> position_of(int64_t element, const Shape& shape) {
  std::vector<int64_t> position(shape.rank());
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    position[axis] = element % shape[axis];
    element /= shape[axis];
  }
  return position;
}

std::string described(const ValueRange& range, const Shape& shape) {
  std::string text = range.min > range.max ? "no finite element"
                                           : fmt::format("min {}, max {}", short_number(range.min),
                                                         short_number(range.max));
  if (range.finite()) return text + ", all finite";
  return text + fmt::format("; {} NaN and {} infinite of {}, the first at ({}): {}",
                            grouped(range.nan), grouped(range.infinite), grouped(shape.numel()),
                            fmt::join(position_of(range.first_bad, shape), ", "),
                            short_number(range.first_bad_value));
}

std::string lines_of(const char* what, const std::vector<ObservedTensor>& tensors) {
  std::string text;
  for (const ObservedTensor& tensor : tensors) {
    text += fmt::format("  {} {}, {} {}\n       {}\n", what, tensor.name, name_of(tensor.dtype),
                        tensor.shape.to_string(), described(tensor.range, tensor.shape));
  }
  return text;
}

struct SampleText {
  int64_t sample = 0;
  std::string text;
};

/// The samples with bad values or, if those are unknown, the start of each in the micro-batch.
std::vector<SampleText> texts_of(const RefusedStep& step, const Finding& finding, const Task& task,
                                 const Tokenizer& tokenizer) {
  const auto micro_batch = static_cast<size_t>(step.settings.micro_batch);
  const bool told = !finding.samples.empty() &&
                    (finding.samples.size() < micro_batch || micro_batch <= most_whole_samples);
  std::vector<int64_t> samples = finding.samples;
  if (told) {
    samples.resize(std::min(samples.size(), most_whole_samples));
  } else {
    // If all micro-batches were computed without a bad value, all samples are listed.
    samples.resize(finding.first ? micro_batch : static_cast<size_t>(step.batch.samples()));
    std::iota(samples.begin(), samples.end(), finding.first ? finding.first_sample : 0);
  }
  std::vector<SampleText> texts;
  for (const int64_t sample : samples) {
    std::string text = task.sample_text(step.batch, sample, tokenizer);
    if (!told) {
      size_t end = 0;
      for (int64_t line = 0; line < most_lines && end != text.npos; ++line) {
        end = text.find('\n', line == 0 ? 0 : end + 1);
      }
      if (end != text.npos) text.resize(end);
    }
    texts.push_back({sample, std::move(text)});
  }
  return texts;
}

std::string shown_samples(const RefusedStep& step, const Finding& finding, const Task& task,
                          const Tokenizer& tokenizer) {
  const std::vector<SampleText> texts = texts_of(step, finding, task, tokenizer);
  std::string text;
  if (finding.samples.empty()) {
    text = "samples  the bad sample is unknown; the first lines of each:\n";
  } else if (std::ssize(finding.samples) == step.settings.micro_batch) {
    text =
        fmt::format("samples  all {} of the micro-batch hold bad values\n", finding.samples.size());
  } else {
    text = fmt::format("samples  {} of the micro-batch's {} hold bad values: {}\n",
                       finding.samples.size(), step.settings.micro_batch,
                       fmt::join(finding.samples, ", "));
  }
  if (texts.size() < finding.samples.size()) {
    text += fmt::format("  the text of the first {}:\n", texts.size());
  }
  for (const SampleText& sample : texts) {
    text += fmt::format("  sample {}\n", sample.sample);
    std::istringstream lines(sample.text);
    for (std::string line; std::getline(lines, line);) text += fmt::format("    | {}\n", line);
  }
  return text;
}

// --- JSON ---------------------------------------------------------------------------------------

Json to_json(const std::vector<ObservedTensor>& tensors) {
  Json array = Json::array();
  for (const ObservedTensor& tensor : tensors) {
    std::vector<int64_t> shape;
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) shape.push_back(tensor.shape[axis]);
    const ValueRange& range = tensor.range;
    const bool any = range.min <= range.max;
    Json object = {{"name", tensor.name},
                   {"dtype", name_of(tensor.dtype)},
                   {"shape", shape},
                   {"min", any ? json_number(range.min) : Json()},
                   {"max", any ? json_number(range.max) : Json()},
                   {"nan", range.nan},
                   {"infinite", range.infinite}};
    if (!range.finite()) {
      object["first_bad"] = position_of(range.first_bad, tensor.shape);
      object["first_bad_value"] = json_number(range.first_bad_value);
    }
    array.push_back(std::move(object));
  }
  return array;
}

}  // namespace

std::string report_text(const RefusedStep& step, const Finding& finding, const Task& task,
                        const Tokenizer& tokenizer) {
  std::string text = fmt::format(
      "step {}   loss {}, gradient norm {}, learning rate {}\n"
      "         the update was refused: the weights are those after step {}\n",
      step.number(), short_number(step.loss), short_number(step.gradient_norm),
      short_number(step.lr), step.settings.step);
  if (!finding.first) {
    text +=
        "first    no op: every output and every gradient is finite, only the norm over all\n"
        "         gradients, or the sum of the losses, is too large for f32\n";
  } else {
    text += fmt::format("first    {}, in the {} pass of samples {} to {} of {}\n", finding.where(),
                        finding.first->backward ? "backward" : "forward", finding.first_sample,
                        finding.first_sample + step.settings.micro_batch - 1, step.batch.samples());
    text += lines_of("read", finding.first->read);
    text += lines_of("made", finding.first->made);
  }
  return text + shown_samples(step, finding, task, tokenizer);
}

std::string report_json(const RefusedStep& step, const Finding& finding, const Task& task,
                        const Tokenizer& tokenizer) {
  Json object = {{"step", step.number()},
                 {"loss", json_number(step.loss)},
                 {"gradient_norm", json_number(step.gradient_norm)},
                 {"lr", json_number(step.lr)},
                 {"where", finding.where()}};
  if (finding.first) {
    const FirstNonFinite& first = *finding.first;
    object["op"] = first.op;
    object["pass"] = first.backward ? "backward" : "forward";
    object["layer"] = first.layer;
    object["after_layer"] = first.after_layer;
    object["micro_batch"] = {{"first_sample", finding.first_sample},
                             {"samples", step.settings.micro_batch}};
    object["read"] = to_json(first.read);
    object["made"] = to_json(first.made);
  }
  object["samples"] = finding.samples;
  object["texts"] = Json::array();
  for (const SampleText& sample : texts_of(step, finding, task, tokenizer)) {
    object["texts"].push_back({{"sample", sample.sample}, {"text", sample.text}});
  }
  return json_text(object);
}

}  // namespace folio
