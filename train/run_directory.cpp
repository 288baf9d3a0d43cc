#include "folio/train/run_directory.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "folio/tensor/error.h"
#include "folio/train/files.h"
#include "folio/train/machine.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

/// What a continued run may change: how long it goes on, what it reports, where it computes. The
/// text may lie elsewhere, but must be the same.
constexpr std::array<std::string_view, 12> changeable = {
    "data.text",          "train.steps",          "train.threads",   "train.device",
    "train.log_every",    "train.eval_every",     "train.sample_at", "train.checkpoint_every",
    "train.sample_prompt", "train.sample_tokens", "train.sample_temperature",
    "train.tensorboard"};

std::string joined(const auto& names) {
  std::string all;
  for (const auto& name : names) all += fmt::format("{}{}", all.empty() ? "" : ", ", name);
  return all;
}

void check_free(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::status(directory, error);
  if (status.type() == fs::file_type::not_found) return;
  FOLIO_CHECK(fs::exists(status), directory.string(), "cannot be looked at: {}; choose another --run",
              error.message());
  FOLIO_CHECK(fs::is_directory(status), directory.string(),
              "is a file, not a run directory; choose another --run");
  const bool empty = fs::is_empty(directory, error);
  FOLIO_CHECK(!error, directory.string(), "cannot be read: {}; choose another --run",
              error.message());
  FOLIO_CHECK(empty, directory.string(),
              "the run directory exists and is not empty; choose another --run, or continue it with "
              "--resume");
}

/// runs/NAME-OF-CONFIG, or the first of NAME-2, NAME-3, ... that does not exist.
fs::path new_directory(const fs::path& config) {
  const fs::path base = fs::path("runs") / config.stem();
  fs::path candidate = base;
  for (int i = 2; fs::exists(candidate); ++i) candidate = fmt::format("{}-{}", base.string(), i);
  return candidate;
}

OpenedRun open_new_run(const TrainOptions& options) {
  FOLIO_CHECK(!options.config.empty(), "train",
              "no config is given; name one, for example configs/shakespeare.yaml");
  OpenedRun run;
  run.config = load_config(options.config, options.overrides);
  run.directory = options.run.empty() ? new_directory(options.config) : options.run;
  check_free(run.directory);
  run.text = identify_text(run.config.data.text);
  return run;
}

OpenedRun open_old_run(const TrainOptions& options) {
  FOLIO_CHECK(!options.run.empty(), "train", "--resume needs --run DIR, the run to continue");
  OpenedRun run;
  run.directory = options.run;
  const std::string where = run.directory.string();
  const fs::path old_path = run.directory / "config.yaml";
  FOLIO_CHECK(fs::is_regular_file(old_path), where,
              "there is no run to continue here (no config.yaml); start one without --resume");
  const Config old = load_config(old_path);
  run.config = load_config(options.config.empty() ? old_path : options.config, options.overrides);
  run.changed_keys = differing_keys(old, run.config);
  std::vector<std::string> refused;
  for (const std::string& key : run.changed_keys) {
    if (std::ranges::find(changeable, key) == changeable.end()) refused.push_back(key);
  }
  FOLIO_CHECK(refused.empty(), where,
              "a continued run cannot change {}; it can change {}. Leave the others as they were, "
              "or start a new run with another --run",
              joined(refused), joined(changeable));
  if (run.config.data.text == old.data.text) {
    run.text = find_run_text(run.directory, run.config);
  } else {
    run.text = identify_text(run.config.data.text);
    FOLIO_CHECK(run.text.same_text(read_text_identity(run.directory)), where,
                "{} is not the text that this run learns from; leave data.text as it was",
                run.text.path.string());
  }
  const auto checkpoints = list_checkpoints(run.directory);
  if (!checkpoints.empty()) run.checkpoint = checkpoints.back().second;
  return run;
}

}  // namespace

OpenedRun open_run(const TrainOptions& options) {
  return options.resume ? open_old_run(options) : open_new_run(options);
}

void write_run_files(const OpenedRun& run) {
  for (const char* part : {"checkpoints", "samples"}) {
    std::error_code error;
    fs::create_directories(run.directory / part, error);
    FOLIO_CHECK(!error, (run.directory / part).string(),
                "the directory cannot be made: {}; choose another --run", error.message());
  }
  replace_durably(run.directory / "config.yaml", to_yaml(run.config));
  replace_durably(run.directory / "text.json", to_json(run.text));
  replace_durably(run.directory / "machine.json", machine_json());
}

}  // namespace folio
