// A run's model, loaded to be used.
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

/// From one checkpoint and its config alone. It computes in `dtype`, whatever train.precision says:
/// in f32, as the weights are saved, any machine can use it. Gradients take as much memory as the
/// values. Throws Error as load_parameters() does.
std::unique_ptr<LoadedRun> load_model(const Config& config, const std::filesystem::path& checkpoint,
                                      DType dtype, Device device, bool with_gradients);

/// On the device that its config asks for, the CPU where that has no GPU. `which` as in
/// find_checkpoint(). Throws Error if the directory is no run or holds no checkpoint.
std::unique_ptr<LoadedRun> load_run(const std::filesystem::path& run, const std::string& which);

}  // namespace folio
