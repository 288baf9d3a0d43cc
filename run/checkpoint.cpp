#include "folio/run/checkpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <system_error>

#include "folio/data/tokenizer.h"
#include "folio/io/files.h"
#include "folio/io/numbered_names.h"
#include "folio/io/pending_directory.h"
#include "folio/io/safetensors.h"
#include "folio/models/huggingface.h"
#include "folio/optim/saved_parameters.h"
#include "folio/run/checkpoint_state.h"
#include "folio/tensor/error.h"

namespace folio {
namespace fs = std::filesystem;
namespace {

constexpr const char* optimizer_file = "optimizer.safetensors";
constexpr const char* config_file = "config.yaml";
constexpr const char* huggingface_file = "config.json";

bool directory_exists(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

fs::path checkpoints_of(const fs::path& run) { return run / "checkpoints"; }

/// The checkpoints of a run by step, as far as `error` allows.
std::map<int64_t, fs::path> list_checkpoints(const fs::path& run, std::error_code& error) {
  std::map<int64_t, fs::path> found;
  fs::directory_iterator entry(checkpoints_of(run), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.ends_with(replaced_suffix)) name.resize(name.size() - replaced_suffix.size());
    const auto step = parse_step_name(name);
    if (!step) continue;
    const fs::path directory = existing_directory(checkpoints_of(run) / name);
    if (!directory.empty()) found[*step] = directory;
  }
  if (error == std::errc::no_such_file_or_directory) error.clear();
  return found;
}

/// Whether `directory` is a checkpoint, which may be damaged, or empty.
bool may_be_replaced(const fs::path& directory) {
  if (!directory_exists(directory)) return false;
  std::error_code error;
  for (const char* name : {state_file, model_file, optimizer_file}) {
    if (fs::exists(directory / name, error)) return true;
  }
  return fs::is_empty(directory, error);
}

}  // namespace

void save_checkpoint(const fs::path& directory, const Model& model,
                     const ParameterStore& parameters, Optimizer& optimizer,
                     const Tokenizer& tokenizer, const Config& config, const Progress& progress) {
  std::error_code unreadable;
  FOLIO_CHECK(!fs::exists(fs::symlink_status(directory, unreadable)) || may_be_replaced(directory),
              directory.string(),
              "the path exists but is not a checkpoint, so it is not replaced; move it away");
  try {
    remove_leftovers(directory.parent_path());
    PendingDirectory pending(directory);
    const fs::path& temporary = pending.path();
    const std::map<std::string, std::string> about = {{"format", "pt"},
                                                      {"step", std::to_string(progress.step)}};
    CheckpointState state{.progress = progress, .tokenizer_hash = tokenizer.hash(), .files = {}};
    std::vector<NamedTensor> weights = masters_of(parameters);
    if (const auto files = model.to_huggingface(tokenizer)) {
      weights = to_huggingface(model.huggingface(), parameters);
      std::ranges::copy(files->more_tensors, std::back_inserter(weights));
      state.files[huggingface_file] = write_durably(temporary / huggingface_file, files->config);
    }
    state.files[model_file] = write_safetensors(temporary / model_file, weights, about);
    state.files[optimizer_file] =
        write_safetensors(temporary / optimizer_file, state_of(parameters, optimizer), about);
    state.files[tokenizer_file] = write_durably(temporary / tokenizer_file, tokenizer.to_json());
    state.files[config_file] = write_durably(temporary / config_file, to_yaml(config));
    write_durably(temporary / state_file, to_json(state));
    pending.commit(/*replace=*/true);
  } catch (const Error& error) {
    // The temporary directory has been removed, so the message names the final one.
    std::string where = error.where();
    const std::string temporary = temporary_name(directory).string();
    if (where.starts_with(temporary)) where.replace(0, temporary.size(), directory.string());
    const fs::path run = directory.parent_path().parent_path();
    std::error_code ignored;
    const bool earlier = best_checkpoint(run) || !list_checkpoints(run, ignored).empty();
    fail(where, error.message(),
         fmt::format("{}{}{}", error.remedy(), error.remedy().empty() ? "" : "; ",
                     earlier ? "the earlier checkpoints are whole; run again with --resume"
                             : "there is no earlier checkpoint"));
  }
}

void load_parameters(const fs::path& directory, const Model& model, ParameterStore& parameters) {
  FOLIO_CHECK(parameters.values(), directory.string(), "the parameters must be initialized first");
  verify_file(directory, read_state(directory), model_file);
  const fs::path path = directory / model_file;
  SafetensorsFile file = read_safetensors(path);
  from_huggingface(model.huggingface(), file.tensors);
  fill_tensors(
      masters_of(parameters), file.tensors, path,
      {.question = "is this another config's run?", .ignorable = [&](const NamedTensor& tensor) {
         return is_zero_bias(model.huggingface(), tensor);
       }});
  parameters.masters_changed();
}

Progress load_progress(const fs::path& directory, const ParameterStore& parameters,
                       Optimizer& optimizer) {
  const CheckpointState state = read_state(directory);
  verify_file(directory, state, optimizer_file);
  const fs::path path = directory / optimizer_file;
  fill_tensors(state_of(parameters, optimizer), read_safetensors(path).tensors, path,
               {.question = "is this another config's run, or another optimizer's?"});
  return state.progress;
}

Progress read_progress(const fs::path& directory) { return read_state(directory).progress; }

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& directory) {
  const CheckpointState state = read_state(directory);
  verify_file(directory, state, tokenizer_file);
  const fs::path path = directory / tokenizer_file;
  auto tokenizer = read_tokenizer(path);
  FOLIO_CHECK(tokenizer->hash() == state.tokenizer_hash, path.string(),
              "the tokenizer's hash is {} but state.json says {}, so the model was trained with "
              "another tokenizer; use another checkpoint of the run",
              tokenizer->hash(), state.tokenizer_hash);
  return tokenizer;
}

void verify_checkpoint(const fs::path& directory) {
  const CheckpointState state = read_state(directory);
  std::set<std::string> names = {model_file, optimizer_file, tokenizer_file, config_file};
  for (const auto& [name, stamp] : state.files) names.insert(name);
  for (const std::string& name : names) verify_file(directory, state, name);
}

std::vector<std::pair<int64_t, fs::path>> list_checkpoints(const fs::path& run) {
  std::error_code error;
  const auto found = list_checkpoints(run, error);
  if (error) fail_system(checkpoints_of(run), "list", error.value());
  return {found.begin(), found.end()};
}

fs::path step_checkpoint(const fs::path& run, int64_t step) {
  return checkpoints_of(run) / step_name(step);
}

std::optional<fs::path> best_checkpoint(const fs::path& run) {
  const fs::path path = existing_directory(checkpoints_of(run) / "best");
  return path.empty() ? std::nullopt : std::optional(path);
}

fs::path find_checkpoint(const fs::path& run, const std::string& which) {
  FOLIO_CHECK(directory_exists(run), run.string(),
              "there is no such run directory; name the --run of a folio train");
  const auto checkpoints = list_checkpoints(run);
  const auto best = best_checkpoint(run);
  if (which == "best" && best) return *best;
  if (which == "last" && !checkpoints.empty()) return checkpoints.back().second;
  const auto step = parse_whole_number(which);
  std::string choice = best ? "best" : "";
  for (const auto& [number, path] : checkpoints) {
    if (step == number) return path;
    choice += fmt::format("{}{}", choice.empty() ? "" : ", ", number);
  }
  FOLIO_CHECK(!choice.empty() || !fs::exists(run / state_file), run.string(),
              "this is a checkpoint; name its run and, with --checkpoint, which of it: last, best "
              "or a step");
  FOLIO_CHECK(!choice.empty(), run.string(),
              "the run has no checkpoints; train it first, with train.checkpoint_every above 0");
  fail(run.string(), fmt::format("there is no checkpoint \"{}\"; choose one of: {}{}", which,
                                 checkpoints.empty() ? "" : "last, ", choice));
}

}  // namespace folio
