// Checkpoints: everything needed to continue a run, in a directory that is whole or absent.
//
//   checkpoints/step_500/
//     model.safetensors      the weights, by parameter name
//     optimizer.safetensors  the moments, by parameter name: "NAME.first_moment", ...
//     tokenizer.json
//     config.yaml
//     state.json             step, best validation loss, tokenizer's hash, size and checksum of
//                            each other file
//
// The directory is written under a temporary name, flushed to the disk and renamed: a crash at any
// instant leaves earlier checkpoints whole. Nothing in it depends on device or process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/data/tokenizer.h"
#include "folio/optim/optimizer.h"
#include "folio/train/config.h"

namespace folio {

/// How far a run has come. The step determines the data that follows and all random numbers.
struct Progress {
  int64_t step = 0;  // steps done
  double validation_loss = std::numeric_limits<double>::quiet_NaN();  // of this checkpoint, if known
  double best_validation_loss = std::numeric_limits<double>::infinity();
  int64_t best_step = -1;
};

/// Writes `directory` (which must not exist) as described above. Throws Error with the path and
/// the reason, after removing whatever it wrote.
void save_checkpoint(const std::filesystem::path& directory, const ParameterStore& parameters,
                     Optimizer& optimizer, const Tokenizer& tokenizer, const Config& config,
                     const Progress& progress);

/// Fills `parameters` (initialized, of the same model). Throws Error naming the checkpoint and, for
/// another model, the parameter with both shapes; nothing is changed then.
void load_parameters(const std::filesystem::path& directory, ParameterStore& parameters);

/// Fills the optimizer and returns the progress. Throws Error as load_parameters() does.
Progress load_progress(const std::filesystem::path& directory, const ParameterStore& parameters,
                       Optimizer& optimizer);

/// Reads state.json alone.
Progress read_progress(const std::filesystem::path& directory);

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& directory);

/// Checks sizes and checksums of all files against state.json; throws Error that names the first
/// damaged one.
void verify_checkpoint(const std::filesystem::path& directory);

/// The checkpoints of a run directory, oldest first: step and path. Temporary leftovers of a crash
/// are not listed.
std::vector<std::pair<int64_t, std::filesystem::path>> list_checkpoints(
    const std::filesystem::path& run);

/// "last", "best" or a step number. Throws Error that lists what there is.
std::filesystem::path find_checkpoint(const std::filesystem::path& run, const std::string& which);

}  // namespace folio
