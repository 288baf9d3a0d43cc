// Loads the model of a run.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "folio/autograd/parameters.h"
#include "folio/data/tokenizer.h"
#include "folio/models/model.h"
#include "folio/run/checkpoint.h"
#include "folio/run/config.h"

namespace folio {

/// A loaded model, for sampling or evaluation.
struct LoadedRun {
  LoadedRun(DType dtype, Device device) : parameters(dtype, device) {}

  Config config;
  Progress progress;
  std::filesystem::path checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  ParameterStore parameters;
  std::unique_ptr<Model> model;
};

/// Loads a checkpoint. The model computes in `dtype` instead of train.precision; every machine
/// supports f32. Throws Error as load_parameters() does.
std::unique_ptr<LoadedRun> load_model(const Config& config, const std::filesystem::path& checkpoint,
                                      DType dtype, Device device, bool with_gradients);

/// Loads a checkpoint of a run in f32, on the device of its config or, without a GPU, on the CPU.
/// `which` as in find_checkpoint(). Throws Error if there is no such run or checkpoint.
std::unique_ptr<LoadedRun> load_run(const std::filesystem::path& run, const std::string& which);

}  // namespace folio
