// state.json of a checkpoint: the progress, and size and checksum of the other files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "folio/io/files.h"
#include "folio/run/checkpoint.h"

namespace folio {

constexpr uint64_t most_state_bytes = 1 << 20;

struct CheckpointState {
  Progress progress;
  std::string tokenizer_hash;
  std::map<std::string, FileStamp> files;  // by name, all but state.json itself
};

/// JSON without NaN and infinity: an unknown validation_loss and an infinite best_validation_loss
/// are null. Its last member is the checksum of all text before it.
std::string to_json(const CheckpointState& state);

/// Throws Error, beginning with `where`, if any bit of the text differs from what to_json()
/// returned.
CheckpointState state_from_json(std::string_view json, std::string_view where);

/// Reads DIRECTORY/state.json. Throws Error if it is missing or damaged.
CheckpointState read_state(const std::filesystem::path& directory);

/// What is wrong with the size or checksum of a file of the checkpoint; empty for an intact file.
/// Throws Error if the file cannot be read.
std::string file_fault(const std::filesystem::path& directory, const CheckpointState& state,
                       const std::string& name);

/// Throws Error naming the file if file_fault() finds something.
void verify_file(const std::filesystem::path& directory, const CheckpointState& state,
                 const std::string& name);

}  // namespace folio
