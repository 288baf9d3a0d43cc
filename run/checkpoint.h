// Checkpoints: directories with everything that is needed to continue a run.
//
//   checkpoints/step_500/
//     model.safetensors      the weights, under Hugging Face's names if it has the model
//     config.json            Hugging Face's config of the model, if it has the model
//     optimizer.safetensors  the moments, by parameter name: "NAME.first_moment", ...
//     tokenizer.json         in Folio's own format
//     config.yaml            the run's config, with every default
//     state.json             the step, samples drawn, best validation loss, the tokenizer's hash,
//                            size and checksum of each other file, and a checksum of itself
//
// A checkpoint is written as a PendingDirectory, so a crash at any time leaves earlier checkpoints
// complete. A crash during a replacement can leave best.old instead of best, which is then used.
// No file depends on the device or on the number of ranks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/data/tokenizer.h"
#include "folio/optim/optimizer.h"
#include "folio/run/config.h"

namespace folio {

/// The progress of a run. The step determines the data that follows and all random numbers.
struct Progress {
  int64_t step = 0;     // steps done
  int64_t samples = 0;  // drawn from the training split
  double validation_loss =
      std::numeric_limits<double>::quiet_NaN();  // of this checkpoint, if known
  double best_validation_loss = std::numeric_limits<double>::infinity();
  int64_t best_step = -1;
  int64_t skips = 0;                        // steps whose update was refused
  std::vector<double> accepted_norms = {};  // see SpikeGuard::norms()
};

/// Writes `directory` as described above and creates its parents. Replaces an earlier checkpoint
/// there, and removes temporary directories of dead processes beside it. On failure it removes what
/// it wrote, keeps what was there, and throws Error with the path and the reason.
void save_checkpoint(const std::filesystem::path& directory, const Model& model,
                     const ParameterStore& parameters, Optimizer& optimizer,
                     const Tokenizer& tokenizer, const Config& config, const Progress& progress);

/// Fills `parameters`, which must be allocated for the same model; converts between f32 and f64.
/// Throws Error with the file if it is damaged and, for another model, with the parameter and both
/// shapes; nothing is changed then.
void load_parameters(const std::filesystem::path& directory, const Model& model,
                     ParameterStore& parameters);

/// Fills the optimizer and returns the progress. Throws Error as load_parameters() does.
Progress load_progress(const std::filesystem::path& directory, const ParameterStore& parameters,
                       Optimizer& optimizer);

/// Reads only state.json.
Progress read_progress(const std::filesystem::path& directory);

/// The tokenizer that the model was trained with. Throws Error with the file if it is damaged.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& directory);

/// Checks the sizes and checksums of all files. Throws Error with the first one that is missing or
/// damaged.
void verify_checkpoint(const std::filesystem::path& directory);

/// Step and path of each checkpoint of a run, by step, without the best and temporary directories.
std::vector<std::pair<int64_t, std::filesystem::path>> list_checkpoints(
    const std::filesystem::path& run);

/// The path of the checkpoint of a step, which need not exist.
std::filesystem::path step_checkpoint(const std::filesystem::path& run, int64_t step);

/// The best checkpoint of a run directory, if it has one.
std::optional<std::filesystem::path> best_checkpoint(const std::filesystem::path& run);

/// The checkpoint that `which` selects: "last", "best" or a step number. Throws Error with the
/// available ones if there is no such checkpoint.
std::filesystem::path find_checkpoint(const std::filesystem::path& run, const std::string& which);

}  // namespace folio
