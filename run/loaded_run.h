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

/// A model loaded from a run, ready to sample from or to evaluate.
struct LoadedRun {
  LoadedRun(DType dtype, Device device) : parameters(dtype, device) {}

  Config config;
  Progress progress;
  std::filesystem::path checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  ParameterStore parameters;
  std::unique_ptr<Model> model;
};

/// Loads a model from a checkpoint and its config. It computes in `dtype`, not in train.precision;
/// f32, in which weights are saved, works on any machine. Gradients take as much memory as the
/// values. Throws Error as load_parameters() does.
std::unique_ptr<LoadedRun> load_model(const Config& config, const std::filesystem::path& checkpoint,
                                      DType dtype, Device device, bool with_gradients);

/// Loads a model on the device that its config asks for, or on the CPU if there is no GPU. `which`
/// is as in find_checkpoint(). Throws Error if the directory is no run or holds no checkpoint.
std::unique_ptr<LoadedRun> load_run(const std::filesystem::path& run, const std::string& which);

}  // namespace folio
