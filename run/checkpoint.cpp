#include "folio/run/checkpoint.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <map>
#include <system_error>

#include "folio/data/tokenizer_file.h"
#include "folio/io/files.h"
#include "folio/io/safetensors.h"
#include "folio/models/huggingface.h"
#include "folio/run/checkpoint_state.h"
#include "folio/run/named_tensors.h"
#include "folio/tensor/error.h"

namespace folio {
namespace fs = std::filesystem;
namespace {

constexpr const char* state_file = "state.json";
constexpr const char* model_file = "model.safetensors";
constexpr const char* optimizer_file = "optimizer.safetensors";
constexpr const char* config_file = "config.yaml";
constexpr const char* huggingface_file = "config.json";

// --- names of directories -----------------------------------------------------------------------

constexpr std::string_view temporary_mark = ".tmp-";
constexpr std::string_view aside_mark = ".old";

fs::path temporary_of(const fs::path& directory) {
  return fmt::format("{}{}{}", directory.string(), temporary_mark, ::getpid());
}

fs::path aside_of(const fs::path& directory) { return directory.string().append(aside_mark); }

bool directory_exists(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// A whole number of at least 0, written as Folio writes it.
std::optional<int64_t> whole_number(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  if (std::to_string(number) != text) return std::nullopt;
  return number;
}

// A crash between two renames leaves a checkpoint under the name put aside only.
std::optional<fs::path> present(const fs::path& directory) {
  for (const fs::path& path : {directory, aside_of(directory)}) {
    if (directory_exists(path)) return path;
  }
  return std::nullopt;
}

std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  if (error == std::errc::no_such_file_or_directory) return entries;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error) fail_system(directory, "list", error.value());
  return entries;
}

// Removes what saves that were killed left in `parent`.
void remove_leftovers(const fs::path& parent) {
  for (const fs::path& path : entries_of(parent)) {
    const std::string name = path.filename().string();
    bool leftover = false;
    if (const size_t mark = name.rfind(temporary_mark); mark != name.npos) {
      const auto process =
          whole_number(std::string_view(name).substr(mark + temporary_mark.size()));
      // This process is not saving yet: what bears its number is of a dead one, too.
      leftover = process && (*process == ::getpid() ||
                             (::kill(static_cast<pid_t>(*process), 0) != 0 && errno == ESRCH));
    } else if (name.ends_with(aside_mark)) {
      leftover =
          directory_exists(path.string().substr(0, path.string().size() - aside_mark.size()));
    }
    std::error_code ignored;  // leftovers hurt nobody
    if (leftover && directory_exists(path)) fs::remove_all(path, ignored);
  }
}

// --- saving -------------------------------------------------------------------------------------

/// A directory that is removed unless it gets its final name.
class PendingDirectory {
 public:
  explicit PendingDirectory(const fs::path& path) : path_(path) {
    std::error_code error;
    fs::create_directory(path_, error);
    if (error) fail_system(path_, "create", error.value());
  }
  ~PendingDirectory() {
    std::error_code ignored;
    if (pending_) fs::remove_all(path_, ignored);
  }
  PendingDirectory(const PendingDirectory&) = delete;
  PendingDirectory& operator=(const PendingDirectory&) = delete;

  /// Puts what is at `final_path` aside, takes its place, and removes it.
  void move_to(const fs::path& final_path) {
    const fs::path aside = aside_of(final_path);
    const bool replaces = directory_exists(final_path);
    if (replaces) {
      std::error_code ignored;  // if it cannot be removed, the rename says why
      fs::remove_all(aside, ignored);
      rename_path(final_path, aside);
    }
    try {
      rename_path(path_, final_path);
    } catch (const Error&) {
      if (replaces) rename_path(aside, final_path);
      throw;
    }
    pending_ = false;
    sync_directory(final_path.parent_path());
    std::error_code ignored;  // the next save tries again
    fs::remove_all(aside, ignored);
  }

 private:
  fs::path path_;
  bool pending_ = true;
};

void make_parents(const fs::path& parent) {
  std::error_code error;
  const bool created = fs::create_directories(parent, error);
  if (error) fail_system(parent, "create", error.value());
  if (created) sync_directory(parent.parent_path());
}

/// A directory that a checkpoint may replace: one of which damage has left something, or nothing.
bool may_be_replaced(const fs::path& directory) {
  if (!directory_exists(directory)) return false;
  std::error_code error;
  for (const char* name : {state_file, model_file, optimizer_file}) {
    if (fs::exists(directory / name, error)) return true;
  }
  return fs::is_empty(directory, error);
}

/// The optimizer's state in pieces, so that the order of the slabs does not matter.
std::vector<NamedTensor> tensors_of(const ParameterStore& parameters, Optimizer& optimizer) {
  std::vector<NamedTensor> tensors;
  for (const OptimizerState& state : optimizer.state()) {
    for (const Parameter& parameter : parameters.parameters()) {
      tensors.push_back({fmt::format("{}.{}", parameter.name, state.name),
                         state.slab.view(parameter.offset, parameter.shape)});
    }
  }
  return tensors;
}

/// false also where its directory cannot be looked at.
bool has_checkpoints(const fs::path& run) try {
  return best_checkpoint(run) || !list_checkpoints(run).empty();
} catch (const Error&) {
  return false;
}

}  // namespace

void save_checkpoint(const fs::path& directory, const ParameterStore& parameters,
                     Optimizer& optimizer, const Tokenizer& tokenizer, const Config& config,
                     const Progress& progress) {
  std::error_code unreadable;
  FOLIO_CHECK(!fs::exists(fs::symlink_status(directory, unreadable)) || may_be_replaced(directory),
              directory.string(),
              "exists but is no checkpoint, so it is not replaced; move it away");
  const fs::path temporary = temporary_of(directory);
  try {
    make_parents(directory.parent_path());
    remove_leftovers(directory.parent_path());
    PendingDirectory pending(temporary);
    const std::map<std::string, std::string> about = {{"format", "pt"},
                                                      {"step", std::to_string(progress.step)}};
    CheckpointState state{.progress = progress, .tokenizer_hash = tokenizer.hash(), .files = {}};
    GptConfig model = config.model;
    model.vocabulary = tokenizer.vocabulary();
    std::vector<NamedTensor> weights = to_huggingface(parameters);
    if (const auto gpt2 = export_gpt2(model, parameters, tokenizer.end_of_text())) {
      std::ranges::copy(gpt2->zero_biases, std::back_inserter(weights));
      state.files[huggingface_file] = write_durably(temporary / huggingface_file, gpt2->config);
    }
    state.files[model_file] = write_safetensors(temporary / model_file, weights, about);
    state.files[optimizer_file] =
        write_safetensors(temporary / optimizer_file, tensors_of(parameters, optimizer), about);
    state.files[tokenizer_file] = write_durably(temporary / tokenizer_file, tokenizer.to_json());
    state.files[config_file] = write_durably(temporary / config_file, to_yaml(config));
    write_durably(temporary / state_file, to_json(state));
    sync_directory(temporary);
    pending.move_to(directory);
  } catch (const Error& error) {
    // The temporary name is gone by now; the reader knows the final one.
    std::string message = error.what();
    if (const size_t at = message.find(temporary.string()); at != message.npos) {
      message.replace(at, temporary.string().size(), directory.string());
    }
    throw Error(message + (has_checkpoints(directory.parent_path().parent_path())
                               ? "; the earlier checkpoints are whole; run again with --resume"
                               : "; there is no earlier checkpoint"));
  }
}

void load_parameters(const fs::path& directory, ParameterStore& parameters) {
  FOLIO_CHECK(parameters.values(), directory.string(), "the parameters must be initialized first");
  verify_file(directory, read_state(directory), model_file);
  const fs::path path = directory / model_file;
  SafetensorsFile file = read_safetensors(path);
  from_huggingface(file.tensors);
  fill_tensors(masters_of(parameters), file.tensors, path, "is this another config's run?");
  parameters.masters_changed();
}

Progress load_progress(const fs::path& directory, const ParameterStore& parameters,
                       Optimizer& optimizer) {
  const CheckpointState state = read_state(directory);
  verify_file(directory, state, optimizer_file);
  const fs::path path = directory / optimizer_file;
  fill_tensors(tensors_of(parameters, optimizer), read_safetensors(path).tensors, path,
               "is this another config's run, or another optimizer's?");
  optimizer.set_steps(state.progress.step);
  return state.progress;
}

Progress read_progress(const fs::path& directory) { return read_state(directory).progress; }

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& directory) {
  const CheckpointState state = read_state(directory);
  verify_file(directory, state, tokenizer_file);
  const fs::path path = directory / tokenizer_file;
  auto tokenizer = read_tokenizer(path);
  FOLIO_CHECK(tokenizer->hash() == state.tokenizer_hash, path.string(),
              "the tokenizer's hash is {} but state.json says {}: it is not the one that the model "
              "was trained with; use another checkpoint of the run",
              tokenizer->hash(), state.tokenizer_hash);
  return tokenizer;
}

void remove_checkpoint(const fs::path& directory) {
  const fs::path temporary = temporary_of(directory);
  std::error_code ignored;  // what is left of it, the next save removes
  fs::remove_all(temporary, ignored);
  rename_path(directory, temporary);
  sync_directory(directory.parent_path());
  fs::remove_all(temporary, ignored);
}

void verify_checkpoint(const fs::path& directory) {
  const CheckpointState state = read_state(directory);
  for (const char* name : {model_file, optimizer_file, tokenizer_file, config_file}) {
    verify_file(directory, state, name);
  }
  for (const auto& [name, stamp] : state.files) verify_file(directory, state, name);
}

std::vector<std::pair<int64_t, fs::path>> list_checkpoints(const fs::path& run) {
  constexpr std::string_view prefix = "step_";
  std::map<int64_t, fs::path> found;
  for (const fs::path& path : entries_of(run / "checkpoints")) {
    std::string name = path.filename().string();
    if (name.ends_with(aside_mark)) name.resize(name.size() - aside_mark.size());
    if (!name.starts_with(prefix)) continue;
    const auto step = whole_number(std::string_view(name).substr(prefix.size()));
    const auto directory = present(path.parent_path() / name);
    if (step && directory) found[*step] = *directory;
  }
  return {found.begin(), found.end()};
}

fs::path step_checkpoint(const fs::path& run, int64_t step) {
  return run / "checkpoints" / fmt::format("step_{}", step);
}

std::optional<fs::path> best_checkpoint(const fs::path& run) {
  return present(run / "checkpoints" / "best");
}

fs::path find_checkpoint(const fs::path& run, const std::string& which) {
  FOLIO_CHECK(directory_exists(run), run.string(),
              "there is no such run directory; name the --run of a folio train");
  const auto checkpoints = list_checkpoints(run);
  const auto best = best_checkpoint(run);
  if (which == "best" && best) return *best;
  if (which == "last" && !checkpoints.empty()) return checkpoints.back().second;
  const auto step = whole_number(which);
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
