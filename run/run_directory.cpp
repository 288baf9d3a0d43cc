#include "folio/run/run_directory.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <system_error>

#include "folio/io/files.h"
#include "folio/run/machine.h"
#include "folio/run/metrics.h"
#include "folio/tensor/error.h"
#include "folio/tensor/scope_exit.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

/// The keys that a resumed run may change.
std::vector<std::string> changeable_keys(Config config) {
  std::vector<std::string> keys;
  for (const Section& section : sections_of(config)) {
    for (const Field& field : section.fields()) {
      if (field.may_change) keys.push_back(fmt::format("{}.{}", section.name(), field.key));
    }
  }
  return keys;
}

/// Whether an interrupted write_run_files() may have left the file.
bool is_leftover(const fs::path& file) {
  const std::string name = file.filename().string();
  return name == "lock" || name == "text.json" || name.starts_with("text.json.tmp-") ||
         name.starts_with("config.yaml.tmp-");
}

/// A file in `directory` that does not belong to an interrupted start of a run, or an empty path.
fs::path find_other_file(const fs::path& directory, std::error_code& error) {
  std::error_code ignored;
  const bool interrupted = fs::exists(directory / "lock", ignored);
  fs::recursive_directory_iterator entry(directory, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (fs::is_directory(entry->symlink_status(ignored))) continue;
    const bool leftover = interrupted && entry.depth() == 0 && is_leftover(entry->path());
    if (!leftover) return entry->path();
  }
  return {};
}

void require_free(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::status(directory, error);
  if (status.type() == fs::file_type::not_found) return;
  FOLIO_CHECK(fs::exists(status), directory.string(),
              "the directory cannot be accessed: {}; choose another --run", error.message());
  FOLIO_CHECK(fs::is_directory(status), directory.string(),
              "this is a file, not a run directory; choose another --run");
  FOLIO_CHECK(
      !holds_run(directory), directory.string(),
      "the run directory exists and is not empty; choose another --run, or continue it with "
      "--resume");
  const fs::path file = find_other_file(directory, error);
  FOLIO_CHECK(!error, directory.string(), "the directory cannot be read: {}; choose another --run",
              error.message());
  FOLIO_CHECK(
      file.empty(), directory.string(),
      "the directory is not a run but contains other files, for example {}; choose another --run",
      file.lexically_relative(directory).string());
}

/// A resumed run without a checkpoint starts over. This is refused if the run has passed its first
/// checkpoint, because its metrics would be lost.
void require_no_loss(const fs::path& directory, int64_t checkpoint_every) {
  const fs::path path = directory / "metrics.jsonl";
  std::error_code missing;
  if (!fs::exists(path, missing)) return;
  const int64_t steps = last_step_in(read_file(path));
  FOLIO_CHECK(steps <= checkpoint_every, directory.string(),
              "there is no checkpoint to continue from, but metrics.jsonl goes to step {}, which "
              "starting over would destroy; start a new run with another --run, or remove this one",
              steps);
}

/// runs/NAME-OF-CONFIG, or the first of NAME-2, NAME-3, ... that does not exist.
fs::path new_directory(const fs::path& config) {
  const fs::path base = fs::path("runs") / config.stem();
  fs::path candidate = base;
  std::error_code error;  // reported by require_free()
  for (int i = 2; fs::exists(candidate, error); ++i) {
    candidate = fmt::format("{}-{}", base.string(), i);
  }
  return candidate;
}

OpenedRun open_new_run(const TrainOptions& options) {
  FOLIO_CHECK(!options.config.empty(), "train",
              "no config is given; name one, for example configs/shakespeare.yaml");
  OpenedRun run;
  run.config = load_config(options.config, options.overrides);
  run.directory = options.run.empty() ? new_directory(options.config) : options.run;
  require_free(run.directory);
  run.text = identify_text(run.config.data.text);
  return run;
}

OpenedRun open_old_run(const TrainOptions& options) {
  FOLIO_CHECK(!options.run.empty(), "train", "--resume needs --run DIR, the run to continue");
  OpenedRun run;
  run.directory = options.run;
  const std::string where = run.directory.string();
  const fs::path old_path = run.directory / "config.yaml";
  FOLIO_CHECK(holds_run(run.directory), where,
              "there is no run to continue here (no config.yaml); start one without --resume");
  run.lock = RunLock(run.directory);
  const Config old = load_config(old_path);
  run.config = load_config(options.config.empty() ? old_path : options.config, options.overrides);
  run.from = find_resume_point(run.directory);
  // The weights were trained with the checkpoint's config. The run's own file may have changed
  // since.
  const fs::path trained_path =
      run.from.checkpoint.empty() ? old_path : run.from.checkpoint / "config.yaml";
  std::vector<std::string> refused;
  for (const KeyDifference& difference : differences(load_config(trained_path), run.config)) {
    run.changed_keys.push_back(difference.key);
    if (!difference.may_change) refused.push_back(difference.key);
  }
  FOLIO_CHECK(refused.empty() || !run.from.checkpoint.empty(), trained_path.string(),
              "a continued run cannot change {}, and this one has no checkpoint to continue from; "
              "remove {} and train again, or start a new run with another --run",
              fmt::join(refused, ", "), run.directory.string());
  FOLIO_CHECK(refused.empty(), trained_path.string(),
              "a continued run cannot change {}; it can change {}. Leave the others as they were, "
              "or start a new run with another --run",
              fmt::join(refused, ", "), fmt::join(changeable_keys(run.config), ", "));
  if (run.config.data.text == old.data.text) {
    run.text = find_run_text(run.directory, run.config);
  } else {
    run.text = identify_text(run.config.data.text);
    FOLIO_CHECK(run.text.same_text(read_text_identity(run.directory)), where,
                "{} is not the text of this run; leave data.text as it was",
                run.text.path.string());
  }
  if (run.from.checkpoint.empty()) require_no_loss(run.directory, old.train.checkpoint_every);
  return run;
}

}  // namespace

bool holds_run(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::status(directory / "config.yaml", error);
  const bool known = status.type() != fs::file_type::none;
  FOLIO_CHECK(known, directory.string(),
              "the directory cannot be accessed: {}; choose another run directory",
              error.message());
  return fs::is_regular_file(status);
}

void require_run(const fs::path& directory) {
  constexpr std::string_view remedy = "name the --run of a folio train";
  if (holds_run(directory)) return;
  const std::string where = directory.string();
  FOLIO_CHECK(fs::exists(directory), where, "there is no such run directory; {}", remedy);
  FOLIO_CHECK(fs::is_directory(directory), where, "this is a file, not a run directory; {}",
              remedy);
  fail(where, fmt::format("this is not a run directory: it has no config.yaml; {}", remedy));
}

OpenedRun open_run(const TrainOptions& options) {
  return options.resume ? open_old_run(options) : open_new_run(options);
}

void write_run_files(OpenedRun& run, int ranks) {
  std::vector<fs::path> made;
  const ScopeExit remove_made([&made] {
    std::error_code ignored;  // a directory may contain another process's files
    for (; !made.empty(); made.pop_back()) fs::remove(made.back(), ignored);
  });
  const auto make = [&made](const fs::path& directory) {
    std::ranges::move(make_directories(directory), std::back_inserter(made));
  };
  if (!run.lock.held()) {
    make(run.directory);
    run.lock = RunLock(run.directory);
    require_free(run.directory);  // again, now that no other process can start here
    for (const char* name : {"lock", "text.json", "config.yaml"})
      made.push_back(run.directory / name);
  }
  // config.yaml makes the directory a run, so it is written last.
  replace_durably(run.directory / "text.json", to_json(run.text));
  replace_durably(run.directory / "config.yaml", to_yaml(run.config));
  make(run.directory / "checkpoints");
  make(run.directory / "samples");
  made.clear();
  replace_durably(run.directory / "machine.json", machine_json(ranks));
}

}  // namespace folio
