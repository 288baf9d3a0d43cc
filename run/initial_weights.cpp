#include "folio/run/initial_weights.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <vector>

#include "folio/data/tokenizer.h"
#include "folio/io/safetensors.h"
#include "folio/models/huggingface.h"
#include "folio/optim/saved_parameters.h"
#include "folio/run/checkpoint.h"
#include "folio/run/checkpoint_state.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

bool file_exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// Shortens tensors of the file to the model's number of rows if the model allows it.
void take_first_rows(std::vector<NamedTensor>& tensors, const std::vector<NamedTensor>& wanted,
                     const Model& model) {
  for (NamedTensor& entry : tensors) {
    const auto here = std::ranges::find(wanted, entry.name, &NamedTensor::name);
    if (here == wanted.end() || !model.takes_first_rows(entry.name)) continue;
    const Shape& shape = here->tensor.shape();
    const bool longer = entry.tensor.shape().rank() == 2 && entry.tensor.dim(0) > shape[0] &&
                        entry.tensor.dim(1) == shape[1];
    if (longer) entry.tensor = entry.tensor.view(0, shape);
  }
}

}  // namespace

fs::path find_initial_weights(const std::string& init_from) {
  const fs::path path = init_from;
  if (file_exists(path / model_file)) return path;
  if (const auto best = best_checkpoint(path)) return *best;
  if (const auto all = list_checkpoints(path); !all.empty()) return all.back().second;
  fail("train.init_from",
       fmt::format(
           "{} {}; name a run, a checkpoint, or a directory with a GPT-2's {}", init_from,
           file_exists(path) ? "is no run with a checkpoint and has no weights" : "does not exist",
           model_file));
}

std::unique_ptr<Tokenizer> initial_tokenizer(const Config& config) {
  if (config.train.init_from.empty()) return nullptr;
  const fs::path directory = find_initial_weights(config.train.init_from);
  const fs::path path = directory / tokenizer_file;
  std::unique_ptr<Tokenizer> tokenizer;
  if (file_exists(directory / state_file)) {
    tokenizer = load_tokenizer(directory);
  } else if (file_exists(path)) {
    tokenizer = read_tokenizer(path);
  }
  FOLIO_CHECK(!tokenizer || tokenizer->kind() == config.data.tokenizer, "data.tokenizer",
              "it is {}, but the tokenizer of train.init_from is {}; set data.tokenizer: {}",
              config.data.tokenizer, tokenizer->kind(), tokenizer->kind());
  return tokenizer;
}

void load_initial_weights(const std::string& init_from, const Model& model,
                          ParameterStore& parameters) {
  const fs::path directory = find_initial_weights(init_from), path = directory / model_file;
  if (file_exists(directory / state_file))
    verify_file(directory, read_state(directory), model_file);
  SafetensorsFile file = read_safetensors(path);
  const std::vector<NamedTensor> wanted = masters_of(parameters);
  model.from_huggingface(file.tensors);
  from_huggingface(model.huggingface(), file.tensors);
  take_first_rows(file.tensors, wanted, model);
  fill_tensors(
      wanted, file.tensors, path,
      {.question = "train.init_from needs a model with the same layers, width, vocabulary, "
                   "bias and tied",
       .ignorable = [&](const NamedTensor& tensor) {
         return is_zero_bias(model.huggingface(), tensor);
       }});
  parameters.masters_changed();
}

}  // namespace folio
