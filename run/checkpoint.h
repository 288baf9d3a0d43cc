// Checkpoints: everything needed to continue a run, in a directory that is whole or absent.
//
//   checkpoints/step_500/
//     model.safetensors      the weights; under Hugging Face's names if the model is one of theirs
//     config.json            Hugging Face's description of the model, in that case
//     optimizer.safetensors  the moments, by parameter name: "NAME.first_moment", ...
//     tokenizer.json         Folio's own format
//     config.yaml            the run's, with every default
//     state.json             step, samples drawn (the data cursor), best validation loss,
//                            tokenizer's hash, size and checksum of each other file, and a
//                            checksum of itself
//
// The directory is written as a PendingDirectory, so a crash at any time leaves earlier checkpoints
// complete. A crash during a replacement can leave the old one as best.old, which is then used as
// the best.
// Nothing in a checkpoint depends on the device or the process.
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
  int64_t samples = 0;  // drawn from the training text so far: the data cursor
  double validation_loss =
      std::numeric_limits<double>::quiet_NaN();  // of this checkpoint, if known
  double best_validation_loss = std::numeric_limits<double>::infinity();
  int64_t best_step = -1;
  int64_t skips = 0;                        // steps whose update was refused
  std::vector<double> accepted_norms = {};  // see SpikeGuard::norms()
};

/// Writes `directory` as described above, with its parents, and replaces a checkpoint that is
/// there. Leftovers of saves by processes that have died are removed. Throws Error with the path
/// and the reason, after removing what it wrote; a checkpoint that was there before is then
/// unchanged.
void save_checkpoint(const std::filesystem::path& directory, const Model& model,
                     const ParameterStore& parameters, Optimizer& optimizer,
                     const Tokenizer& tokenizer, const Config& config, const Progress& progress);

/// Fills `parameters`, which must be initialized and of the same model, and converts between f32
/// and f64. The file is verified against state.json first. Throws Error naming the file and, for
/// another model, the parameter with both shapes; then no parameter is changed.
void load_parameters(const std::filesystem::path& directory, const Model& model,
                     ParameterStore& parameters);

/// Fills the optimizer and returns the progress. Throws Error as load_parameters() does.
Progress load_progress(const std::filesystem::path& directory, const ParameterStore& parameters,
                       Optimizer& optimizer);

/// Reads only state.json.
Progress read_progress(const std::filesystem::path& directory);

/// The tokenizer that the model was trained with. Throws Error naming the file.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& directory);

/// Checks sizes and checksums of all files against state.json; throws Error that names the first
/// damaged one.
void verify_checkpoint(const std::filesystem::path& directory);

/// What is wrong with a checkpoint, beginning with the name of a file: "model.safetensors: it has
/// 512 bytes but state.json says 1024 (is it truncated?)". Empty for an intact checkpoint.
std::string checkpoint_fault(const std::filesystem::path& directory);

/// The step and path of each step checkpoint of a run directory, by step. The best checkpoint and
/// leftovers of a crash are not listed.
std::vector<std::pair<int64_t, std::filesystem::path>> list_checkpoints(
    const std::filesystem::path& run);

/// The path of a step's checkpoint, whether or not it exists.
std::filesystem::path step_checkpoint(const std::filesystem::path& run, int64_t step);

/// The best checkpoint of a run directory, if it has one.
std::optional<std::filesystem::path> best_checkpoint(const std::filesystem::path& run);

/// The checkpoint that `which` names: "last", "best" or a step number. Throws Error that lists the
/// checkpoints if there is no such one.
std::filesystem::path find_checkpoint(const std::filesystem::path& run, const std::string& which);

}  // namespace folio
