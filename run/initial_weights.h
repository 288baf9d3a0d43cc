// train.init_from: initial weights from another run or a GPT-2 of Hugging Face.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "folio/autograd/parameters.h"
#include "folio/data/tokenizer.h"
#include "folio/models/model.h"
#include "folio/run/config.h"

namespace folio {

/// The directory with model.safetensors that `init_from` names. For a run it is the best checkpoint
/// or, if there is none, the newest. `init_from` can also be a checkpoint, or a GPT-2 as Hugging
/// Face saves it. Throws Error for anything else.
std::filesystem::path find_initial_weights(const std::string& init_from);

/// The tokenizer of train.init_from; null if the key is not set or there is no tokenizer beside the
/// weights. Throws Error if it is not of the kind data.tokenizer.
std::unique_ptr<Tokenizer> initial_tokenizer(const Config& config);

/// Fills `parameters`. The file may have more positions than the model's context. Throws Error if
/// it holds another model's weights.
void load_initial_weights(const std::string& init_from, const Model& model,
                          ParameterStore& parameters);

}  // namespace folio
