// Checkpoints: everything needed to continue a run, in a directory that is whole or absent.
//
//   checkpoints/step_500/
//     model.safetensors      the weights; under Hugging Face's names if the model is one of theirs
//     config.json            what Hugging Face calls the model, then
//     optimizer.safetensors  the moments, by parameter name: "NAME.first_moment", ...
//     tokenizer.json         Folio's own format
//     config.yaml            the run's, with every default
//     state.json             step, samples drawn (the data cursor), best validation loss,
//                            tokenizer's hash, size and checksum of each other file, and a
//                            checksum of itself
//
// The directory is written as a PendingDirectory, so a crash at any time leaves earlier checkpoints
// complete. A crash while one is replaced can leave it as best.old, which is then taken for best.
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

/// How far a run has come. The step determines the data that follows and all random numbers.
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

/// Writes `directory` as described above, making its parents; a checkpoint that it holds already is
/// replaced. What saves of dead processes left beside it is removed. Throws Error with the path and
/// the reason, after removing whatever it wrote; what was there before is then as it was.
void save_checkpoint(const std::filesystem::path& directory, const Model& model,
                     const ParameterStore& parameters, Optimizer& optimizer,
                     const Tokenizer& tokenizer, const Config& config, const Progress& progress);

/// Fills `parameters` (initialized, of the same model), f32 from f64 and back by rounding. The file
/// is checked against state.json first. Throws Error naming the file and, for another model, the
/// parameter with both shapes; nothing is changed then.
void load_parameters(const std::filesystem::path& directory, const Model& model,
                     ParameterStore& parameters);

/// Fills the optimizer and returns the progress. Throws Error as load_parameters() does.
Progress load_progress(const std::filesystem::path& directory, const ParameterStore& parameters,
                       Optimizer& optimizer);

/// Reads state.json alone.
Progress read_progress(const std::filesystem::path& directory);

/// The tokenizer that the model was trained with. Throws Error naming the file.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& directory);

/// Checks sizes and checksums of all files against state.json; throws Error that names the first
/// damaged one.
void verify_checkpoint(const std::filesystem::path& directory);

/// What is wrong with a checkpoint, beginning with the name of a file: "model.safetensors: it has
/// 512 bytes but state.json says 1024 (is it truncated?)". Empty if nothing is.
std::string checkpoint_fault(const std::filesystem::path& directory);

/// The checkpoints of a run directory, by step: step and path. Neither the best nor temporary
/// leftovers of a crash are listed.
std::vector<std::pair<int64_t, std::filesystem::path>> list_checkpoints(
    const std::filesystem::path& run);

/// Where the checkpoint of a step lies, if there is one.
std::filesystem::path step_checkpoint(const std::filesystem::path& run, int64_t step);

/// The best checkpoint of a run directory, if it has one.
std::optional<std::filesystem::path> best_checkpoint(const std::filesystem::path& run);

/// "last", "best" or a step number. Throws Error that lists what there is.
std::filesystem::path find_checkpoint(const std::filesystem::path& run, const std::string& which);

}  // namespace folio
