#include "folio/run/initial_weights.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <vector>

#include "folio/data/tokenizer_file.h"
#include "folio/io/safetensors.h"
#include "folio/models/huggingface.h"
#include "folio/optim/saved_parameters.h"
#include "folio/run/checkpoint.h"
#include "folio/run/checkpoint_state.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr const char* model_file = "model.safetensors";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

const NamedTensor* find(const std::vector<NamedTensor>& tensors, std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

/// Cuts off the rows of a file's tensors beyond those of the model, where it allows that.
void take_first_rows(std::vector<NamedTensor>& tensors, const std::vector<NamedTensor>& wanted,
                     const Model& model) {
  for (NamedTensor& entry : tensors) {
    const NamedTensor* const here = find(wanted, entry.name);
    if (here == nullptr || !model.takes_first_rows(entry.name)) continue;
    const Shape& shape = here->tensor.shape();
    const bool longer = entry.tensor.shape().rank() == 2 && entry.tensor.dim(0) > shape[0] &&
                        entry.tensor.dim(1) == shape[1];
    if (longer) entry.tensor = entry.tensor.view(0, shape);
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

std::unique_ptr<Tokenizer> initial_tokenizer(const Config& config) {
  const std::string& from = config.train.init_from;
  if (from.empty()) return nullptr;
  auto tokenizer = load_initial_tokenizer(from);
  FOLIO_CHECK(!tokenizer || tokenizer->kind() == config.data.tokenizer, "data.tokenizer",
              "is {}, but that of train.init_from is {}; set data.tokenizer to that",
              config.data.tokenizer, tokenizer->kind());
  return tokenizer;
}

void load_initial_weights(const std::string& init_from, const Model& model,
                          ParameterStore& parameters) {
  const fs::path directory = find_initial_weights(init_from), path = directory / model_file;
  if (is_there(directory / "state.json")) verify_file(directory, read_state(directory), model_file);
  SafetensorsFile file = read_safetensors(path);
  const std::vector<NamedTensor> wanted = masters_of(parameters);
  model.from_huggingface(file.tensors);
  from_huggingface(model.huggingface(), file.tensors);
  take_first_rows(file.tensors, wanted, model);
  fill_tensors(wanted, file.tensors, path,
               {.question = "train.init_from needs a model of the same layers, width, vocabulary, "
                            "bias and tied",
                .ignorable = [&](const NamedTensor& tensor) {
                  return is_zero_bias(model.huggingface(), tensor);
                }});
  parameters.masters_changed();
}

}  // namespace folio
