// train.init_from: the weights that a run begins with, where they are not drawn at random.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "folio/autograd/parameters.h"
#include "folio/data/tokenizer.h"
#include "folio/models/model.h"
#include "folio/run/config.h"

namespace folio {

/// The directory with model.safetensors that `init_from` means: of a run its best checkpoint, or
/// the newest where it has no best; else a checkpoint, or a GPT-2 as Hugging Face saves it. Throws
/// Error for anything else.
std::filesystem::path find_initial_weights(const std::string& init_from);

/// The tokenizer beside the weights, which the run then takes too; null where there is none.
std::unique_ptr<Tokenizer> load_initial_tokenizer(const std::string& init_from);

/// The tokenizer of train.init_from, with which the text is to be read; null where the config names
/// no such weights or they have none. Throws Error where it is of another kind than data.tokenizer.
std::unique_ptr<Tokenizer> initial_tokenizer(const Config& config);

/// The weights. Of positions beyond the model's context the file may have more. Throws Error where
/// it is of another model.
void load_initial_weights(const std::string& init_from, const Model& model,
                          ParameterStore& parameters);

}  // namespace folio
