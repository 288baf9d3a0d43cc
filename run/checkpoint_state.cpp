#include "folio/run/checkpoint_state.h"

#include <fmt/core.h>

#include <cmath>
#include <optional>
#include <utility>

#include "folio/io/json.h"
#include "folio/io/version.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr std::string_view remedy =
    "the checkpoint is damaged; use another of the run with --checkpoint N (folio verify RUN lists "
    "those that are whole)";

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace

std::string to_json(const CheckpointState& state) {
  Json files = Json::object();
  for (const auto& [name, stamp] : state.files) files[name] = stamp_json(stamp);
  return sealed_json({
      {"folio", folio_version()},
      {"step", state.progress.step},
      {"samples_drawn", state.progress.samples},
      {"validation_loss", finite_or_null(state.progress.validation_loss)},
      {"best_validation_loss", finite_or_null(state.progress.best_validation_loss)},
      {"best_step", state.progress.best_step},
      {"skips", state.progress.skips},
      {"accepted_norms", state.progress.accepted_norms},
      {"tokenizer_hash", state.tokenizer_hash},
      {"files", files},
  });
}

CheckpointState state_from_json(std::string_view json, std::string_view where) {
  if (!seal_fits(json)) fail(where, seal_fault, remedy);
  const std::optional<Json> value = parse_json(json, /*most_depth=*/3);
  if (!value) fail(where, "not valid JSON, or nested too deep", remedy);
  const JsonObject object(*value, where, remedy);
  const auto number_or = [&object](const std::string& key, double if_null) {
    return object.get(key).is_null() ? if_null : object.number(key);
  };
  CheckpointState state;
  Progress& progress = state.progress;
  progress.step = object.integer("step");
  progress.samples = object.integer("samples_drawn");
  progress.validation_loss = number_or("validation_loss", progress.validation_loss);
  progress.best_validation_loss = number_or("best_validation_loss", progress.best_validation_loss);
  progress.best_step = object.integer("best_step");
  // Checkpoints of early versions have no skips.
  if (object.contains("skips")) progress.skips = object.integer("skips");
  if (object.contains("accepted_norms")) progress.accepted_norms = object.numbers("accepted_norms");
  for (const auto& [name, count] : {std::pair("step", progress.step),
                                    {"skips", progress.skips},
                                    {"samples_drawn", progress.samples}}) {
    object.check(count >= 0, fmt::format("\"{}\" is {}", name, count));
  }
  state.tokenizer_hash = object.text("tokenizer_hash");
  const JsonObject files = object.object("files");
  for (const auto& [name, entry] : object.get("files").items()) {
    // A name must not refer to a file outside the directory.
    object.check(!name.empty() && name != "." && name != ".." && name.find('/') == name.npos,
                 fmt::format("\"files\" names \"{}\", which is no file of a checkpoint", name));
    state.files[name] = files.stamp(name);
  }
  return state;
}

CheckpointState read_state(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / state_file;
  return state_from_json(read_file(path, 1 << 20), path.string());
}

void verify_file(const std::filesystem::path& directory, const CheckpointState& state,
                 const std::string& name) {
  const std::string path = directory / name;
  const auto found = state.files.find(name);
  if (found == state.files.end()) fail(path, "state.json does not name this file", remedy);
  const auto& [bytes, checksum] = found->second;
  const FileStamp stamp = stamp_of(path);
  if (stamp.bytes != bytes) {
    fail(path,
         fmt::format("it has {} bytes but state.json says {} (is it truncated?)", stamp.bytes,
                     bytes),
         remedy);
  }
  if (stamp.checksum != checksum) {
    fail(path,
         fmt::format("its checksum is {} but state.json says {}", hexadecimal(stamp.checksum),
                     hexadecimal(checksum)),
         remedy);
  }
}

}  // namespace folio
