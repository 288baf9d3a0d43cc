#include "folio/inspect/blackbox_bundle.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "folio/io/files.h"
#include "folio/io/json.h"
#include "folio/io/numbered_names.h"
#include "folio/io/output.h"
#include "folio/io/pending_directory.h"
#include "folio/io/safetensors.h"
#include "folio/kernels/kernels.h"
#include "folio/kernels/process.h"
#include "folio/run/loaded_run.h"
#include "folio/tensor/error.h"
#include "folio/train/device_choice.h"
#include "folio/train/precision.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr const char* checkpoint_name = "checkpoint";
constexpr const char* step_file = "step.json";
constexpr const char* batch_file = "batch.safetensors";
constexpr const char* report_file = "report.txt";
constexpr std::array<const char*, 4> stamped = {batch_file, report_file, "report.json",
                                                "checkpoint/state.json"};
constexpr uint64_t most_step_bytes = 1 << 20, most_report_bytes = 1 << 28;

double number_from(const JsonObject& object, const std::string& key) {
  return object.get(key).is_string() ? std::strtod(object.text(key).c_str(), nullptr)
                                     : object.number(key);
}

// --- writing ------------------------------------------------------------------------------------

std::string step_json(const fs::path& directory, const RefusedStep& step, const Finding& finding) {
  Json object = {{"step", step.number()},
                 {"seed", step.settings.seed},
                 {"micro_batch", step.settings.micro_batch},
                 {"threads", step.threads},
                 {"lr", step.lr},
                 {"loss", json_number(step.loss)},
                 {"gradient_norm", json_number(step.gradient_norm)},
                 {"where", finding.where()}};
  for (const char* name : stamped) object["files"][name] = stamp_json(stamp_of(directory / name));
  return sealed_json(object);
}

void write_bundle(const fs::path& directory, const Config& config, Trainer& trainer,
                  const Progress& progress, const RefusedStep& step, const Finding& finding) {
  PendingDirectory pending(directory);
  const fs::path& path = pending.path();
  save_checkpoint(path / checkpoint_name, trainer.model(), trainer.parameters(),
                  trainer.optimizer(), trainer.tokenizer(), config, progress);
  write_safetensors(path / batch_file, step.batch.tensors, {});
  write_durably(path / report_file,
                report_text(step, finding, trainer.task(), trainer.tokenizer()));
  write_durably(path / "report.json",
                report_json(step, finding, trainer.task(), trainer.tokenizer()));
  write_durably(path / step_file, step_json(path, step, finding));
  pending.commit(/*replace=*/true);
}

// --- reading ------------------------------------------------------------------------------------

fs::path find_bundle(const fs::path& path) {
  std::error_code error;
  FOLIO_CHECK(fs::is_directory(path, error), path.string(),
              "there is no such directory; name a run, or a bundle RUN/blackbox/step_N");
  const auto latest = latest_bundle(path);
  if (latest) return latest->second;
  // A bundle without step.json is recognized by its other files.
  for (const char* name : {step_file, batch_file, checkpoint_name}) {
    if (fs::exists(path / name, error)) return path;
  }
  fail(path.string(),
       "there is no bundle here: neither blackbox/step_N, as in a run that stopped at a step that "
       "was not finite, nor step.json, as in a bundle");
}

Json parse_step(const fs::path& path) {
  const std::string text = read_file(path, most_step_bytes);
  FOLIO_CHECK(seal_fits(text), path.string(), "damaged: {}", seal_fault);
  const std::optional<Json> json = parse_json(text);
  FOLIO_CHECK(json, path.string(), "not valid JSON");
  return *json;
}

void check_step(const std::string& where, const RefusedStep& step) {
  FOLIO_CHECK(step.settings.step >= 0 && step.threads >= 1 && step.threads <= 1024, where,
              "step {} with {} threads is impossible", step.number(), step.threads);
}

void check_batch(const std::string& where, const RefusedStep& step) {
  FOLIO_CHECK(step.batch.samples() > 0, where, "there are no samples in it");
  for (const auto& [name, tensor, transposed] : step.batch.tensors) {
    FOLIO_CHECK(tensor.shape().rank() > 0 && tensor.dim(0) == step.batch.samples(), where,
                "{} is {}; wanted {} samples", name, tensor.describe(), step.batch.samples());
  }
  FOLIO_CHECK(
      step.settings.micro_batch >= 1 && step.batch.samples() % step.settings.micro_batch == 0,
      where, "micro-batches of {} do not divide the batch of {}", step.settings.micro_batch,
      step.batch.samples());
}

}  // namespace

std::optional<std::pair<int64_t, fs::path>> latest_bundle(const fs::path& run) {
  std::optional<std::pair<int64_t, fs::path>> latest;
  std::error_code error;
  for (fs::directory_iterator entry(run / "blackbox", error); !error && entry != fs::end(entry);
       entry.increment(error)) {
    const auto step = parse_step_name(entry->path().filename().string());
    if (step && (!latest || *step > latest->first)) latest = {*step, entry->path()};
  }
  return latest;
}

Bundle read_bundle(const fs::path& path) {
  Bundle bundle;
  bundle.directory = find_bundle(path);
  bundle.checkpoint = bundle.directory / checkpoint_name;
  const fs::path step_path = bundle.directory / step_file;
  const Json json = parse_step(step_path);
  const JsonObject object(json, step_path.string(), "is it of another version?");
  const JsonObject files = object.object("files");
  for (const char* name : stamped) {
    const std::string file = bundle.directory / name;
    FOLIO_CHECK(stamp_of(file) == files.stamp(name), file,
                "damaged: size or checksum is not what {} says", step_file);
  }
  RefusedStep& step = bundle.step;
  step.settings = {.seed = object.unsigned_integer("seed"),
                   .step = object.integer("step") - 1,
                   .micro_batch = object.integer("micro_batch")};
  step.threads = static_cast<int>(object.integer("threads"));
  step.lr = number_from(object, "lr");
  step.loss = number_from(object, "loss");
  step.gradient_norm = number_from(object, "gradient_norm");
  bundle.where = object.text("where");
  check_step(step_path.string(), bundle.step);
  verify_checkpoint(bundle.checkpoint);
  const fs::path batch_path = bundle.directory / batch_file;
  bundle.step.batch.tensors = read_safetensors(batch_path).tensors;
  for (NamedTensor& entry : bundle.step.batch.tensors) {
    if (entry.name == "inputs") entry.name = "tokens";  // as bundles had it until December 2026
  }
  check_batch(batch_path.string(), bundle.step);
  bundle.report = read_file(bundle.directory / report_file, most_report_bytes);
  return bundle;
}

void stop_with_black_box(const fs::path& run, const Config& config, Trainer& trainer,
                         Progress progress, const StepResult& result) {
  const int64_t step = result.step - 1;  // counted from 0
  const RefusedStep refused{.settings = trainer.settings_of(step),
                            .threads = threads(),
                            .lr = result.lr,
                            .loss = result.loss,
                            .gradient_norm = result.gradient_norm,
                            .batch = trainer.batch_of(step)};
  const Finding finding = examine(trainer.task(), trainer.model(), trainer.parameters(), refused);
  print(report_text(refused, finding, trainer.task(), trainer.tokenizer()));
  progress.step = step;
  const fs::path directory = run / "blackbox" / step_name(result.step);
  std::string next;
  try {
    write_bundle(directory, config, trainer, progress, refused, finding);
    next = fmt::format("folio replay {} shows it again", directory.string());
  } catch (const Error& error) {
    next = fmt::format("no bundle could be written: {}", error.what());
  }
  fail("train",
       fmt::format("at step {} {}; the first bad values are made by {}. Training has diverged, or "
                   "the model or its weights are at fault: lower optimizer.lr (it is {}), raise "
                   "schedule.warmup, set optimizer.clip, or leave such steps out with "
                   "train.on_non_finite=skip; {}",
                   result.step, result.reason, finding.where(), short_number(result.lr), next));
}

void replay(const std::filesystem::path& path) {
  const Bundle bundle = read_bundle(path);
  const std::string where = bundle.directory.string();
  const Config config = load_config(bundle.checkpoint / "config.yaml");
  const Device device = computing_device(config.train.device);
  const auto loaded =
      load_model(config, bundle.checkpoint,
                 computing_type(config.train.precision, multiplies_bf16(device)), device, true);
  print(fmt::format("replaying {}\n", where));
  const std::unique_ptr<Task> task = make_task(config);
  const Finding finding = examine(*task, *loaded->model, loaded->parameters, bundle.step);
  const std::string report = report_text(bundle.step, finding, *task, *loaded->tokenizer);
  print(report);
  FOLIO_CHECK(finding.where() == bundle.where, where,
              "{} is found, but {} was recorded: another machine or version may round otherwise; "
              "replay where the run was made",
              finding.where(), bundle.where);
  print(fmt::format("the same as recorded: {}{}\n", bundle.where,
                    report == bundle.report ? "" : "; some of the numbers differ from report.txt"));
}

}  // namespace folio
