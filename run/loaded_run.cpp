#include "folio/run/loaded_run.h"

#include "folio/kernels/process.h"
#include "folio/run/run_directory.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {

namespace fs = std::filesystem;

std::unique_ptr<LoadedRun> load_run(const fs::path& run, const std::string& which) {
  require_run(run);
  const Config config = load_config(run / "config.yaml");
  const bool gpu = config.train.device != "cpu" && cuda::unavailable().empty();
  return load_model(config, find_checkpoint(run, which), DType::f32,
                    gpu ? Device::cuda : Device::cpu, false);
}

std::unique_ptr<LoadedRun> load_model(const Config& config, const fs::path& checkpoint, DType dtype,
                                      Device device, bool with_gradients) {
  auto loaded = std::make_unique<LoadedRun>(dtype, device);
  loaded->config = config;
  loaded->checkpoint = checkpoint;
  set_threads(static_cast<int>(config.train.threads));
  loaded->tokenizer = load_tokenizer(loaded->checkpoint);
  loaded->model = make_model(config, Scope(loaded->parameters), loaded->tokenizer->vocabulary());
  loaded->parameters.allocate(with_gradients);
  load_parameters(loaded->checkpoint, *loaded->model, loaded->parameters);
  loaded->progress = read_progress(loaded->checkpoint);
  return loaded;
}

}  // namespace folio
