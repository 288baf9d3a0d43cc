// state.json of a checkpoint: the progress, and the size and checksum of each other file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "folio/io/files.h"
#include "folio/run/checkpoint.h"

namespace folio {

inline constexpr const char* state_file = "state.json";
inline constexpr const char* model_file = "model.safetensors";

struct CheckpointState {
  Progress progress;
  std::string tokenizer_hash;
  std::map<std::string, FileStamp> files;  // by name, without state.json itself
};

/// As JSON, in which an unknown validation_loss and an infinite best_validation_loss are null. The
/// last member is the checksum of all text before it.
std::string to_json(const CheckpointState& state);

/// Throws Error, beginning with `where`, if `json` is not exactly the result of to_json().
CheckpointState state_from_json(std::string_view json, std::string_view where);

/// Reads DIRECTORY/state.json. Throws Error if it is missing or damaged.
CheckpointState read_state(const std::filesystem::path& directory);

/// Throws Error with the file's path unless its size and checksum are those in the state.
void verify_file(const std::filesystem::path& directory, const CheckpointState& state,
                 const std::string& name);

}  // namespace folio
