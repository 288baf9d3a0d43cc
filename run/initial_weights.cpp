#include "folio/run/initial_weights.h"

#include <algorithm>

#include "folio/data/tokenizer_file.h"
#include "folio/io/safetensors.h"
#include "folio/models/huggingface.h"
#include "folio/run/checkpoint.h"
#include "folio/run/checkpoint_state.h"
#include "folio/run/named_tensors.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr const char* model_file = "model.safetensors";
constexpr std::string_view positions = "position_embedding.weight";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

const NamedTensor* find(const std::vector<NamedTensor>& tensors, std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

/// Cuts off the positions beyond those of the model, which may have none.
void take_first_positions(std::vector<NamedTensor>& tensors, const NamedTensor* wanted) {
  if (wanted == nullptr) return;
  const Shape& shape = wanted->tensor.shape();
  for (NamedTensor& entry : tensors) {
    const bool longer = entry.name == positions && entry.tensor.shape().rank() == 2 &&
                        entry.tensor.dim(0) > shape[0] && entry.tensor.dim(1) == shape[1];
    if (longer) entry.tensor = entry.tensor.view(0, shape);
  }
}

/// What others save besides, or under shorter names: GPT2Model has no "transformer.", old files
/// have the causal mask, and a tied output a second time.
void make_plain(std::vector<NamedTensor>& tensors, bool has_output) {
  std::erase_if(tensors, [&](const NamedTensor& entry) {
    return entry.name.ends_with(".attn.bias") || entry.name.ends_with(".attn.masked_bias") ||
           (!has_output && entry.name == "lm_head.weight");
  });
  for (NamedTensor& entry : tensors) {
    const std::string longer = "transformer." + entry.name;
    if (from_huggingface_name(longer) != longer) entry.name = longer;
  }
}

}  // namespace

fs::path find_initial_weights(const std::string& init_from) {
  const fs::path path = init_from;
  if (is_there(path / model_file)) return path;
  if (const auto best = best_checkpoint(path)) return *best;
  if (const auto all = list_checkpoints(path); !all.empty()) return all.back().second;
  fail("train.init_from",
       fmt::format(
           "{} {}; name a run, a checkpoint, or a directory with a GPT-2's {}", init_from,
           is_there(path) ? "is no run with a checkpoint and has no weights" : "does not exist",
           model_file));
}

std::unique_ptr<Tokenizer> load_initial_tokenizer(const std::string& init_from) {
  const fs::path directory = find_initial_weights(init_from);
  if (is_there(directory / "state.json")) return load_tokenizer(directory);
  const fs::path path = directory / tokenizer_file;
  if (!is_there(path)) return nullptr;
  return read_tokenizer(path);
}

TokenizedText tokenize_text(const Config& config, std::unique_ptr<Tokenizer> tokenizer) {
  if (!tokenizer && !config.train.init_from.empty()) {
    tokenizer = load_initial_tokenizer(config.train.init_from);
    FOLIO_CHECK(!tokenizer || tokenizer->kind() == config.data.tokenizer, "data.tokenizer",
                "is {}, but that of train.init_from is {}; set data.tokenizer to that",
                config.data.tokenizer, tokenizer->kind());
  }
  return tokenize_text(config.data, config.model.context, std::move(tokenizer));
}

void load_initial_weights(const std::string& init_from, ParameterStore& parameters) {
  const fs::path directory = find_initial_weights(init_from), path = directory / model_file;
  if (is_there(directory / "state.json")) verify_file(directory, read_state(directory), model_file);
  SafetensorsFile file = read_safetensors(path);
  const std::vector<NamedTensor> wanted = masters_of(parameters);
  make_plain(file.tensors, find(wanted, "output.weight") != nullptr);
  from_huggingface(file.tensors);
  take_first_positions(file.tensors, find(wanted, positions));
  fill_tensors(
      wanted, file.tensors, path,
      "train.init_from needs a model of the same layers, width, vocabulary, bias and tied");
  parameters.masters_changed();
}

}  // namespace folio
