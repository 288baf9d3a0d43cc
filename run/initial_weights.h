// train.init_from: weights of another run or model that a run begins with.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "folio/autograd/parameters.h"
#include "folio/data/tokenizer.h"
#include "folio/models/model.h"
#include "folio/run/config.h"

namespace folio {

/// The directory with the model.safetensors that `init_from` names: the best checkpoint of a run,
/// or its newest if it has no best; a checkpoint; or a GPT-2 as Hugging Face saves it. Throws Error
/// for anything else.
std::filesystem::path find_initial_weights(const std::string& init_from);

/// The tokenizer beside the weights, which the run then uses too; null if there is none.
std::unique_ptr<Tokenizer> load_initial_tokenizer(const std::string& init_from);

/// The tokenizer of train.init_from, which the text must be read with; null if the config names no
/// such weights or they have none. Throws Error if its kind is not that of data.tokenizer.
std::unique_ptr<Tokenizer> initial_tokenizer(const Config& config);

/// Loads the weights. The file may have more positions than the model's context. Throws Error if it
/// is of another model.
void load_initial_weights(const std::string& init_from, const Model& model,
                          ParameterStore& parameters);

}  // namespace folio
