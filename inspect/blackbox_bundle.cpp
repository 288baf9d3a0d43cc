#include "folio/inspect/blackbox_bundle.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "folio/io/checksum.h"
#include "folio/io/files.h"
#include "folio/io/output.h"
#include "folio/io/safetensors.h"
#include "folio/kernels/threads.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* checkpoint_name = "checkpoint";
constexpr const char* step_file = "step.json";
constexpr const char* batch_file = "batch.safetensors";
constexpr const char* report_file = "report.txt";
constexpr std::array<const char*, 4> stamped = {batch_file, report_file, "report.json",
                                                "checkpoint/state.json"};
constexpr uint64_t most_step_bytes = 1 << 20, most_report_bytes = 1 << 28;

std::string hexadecimal(uint64_t value) { return fmt::format("{:016x}", value); }

// Of step.json without its last member, as it is written.
std::string checksum_of(const Json& object) {
  const std::string text = object.dump(2);
  Checksum checksum;
  checksum.add(text.data(), text.size());
  return hexadecimal(checksum.value());
}

// JSON has no word for what is not finite.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return short_number(value);
}

double number_from(const Json& value) {
  return value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr)
                           : value.get<double>();
}

Json stamp_json(const fs::path& path) {
  const FileStamp stamp = stamp_of(path);
  return {{"bytes", stamp.bytes}, {"checksum", hexadecimal(stamp.checksum)}};
}

// --- writing ------------------------------------------------------------------------------------

std::string step_json(const fs::path& directory, const RefusedStep& step, const Finding& finding) {
  Json object = {{"step", step.number()},
                 {"seed", step.settings.seed},
                 {"micro_batch", step.settings.micro_batch},
                 {"label_smoothing", step.settings.label_smoothing},
                 {"threads", step.threads},
                 {"lr", step.lr},
                 {"loss", number(step.loss)},
                 {"gradient_norm", number(step.gradient_norm)},
                 {"where", finding.where()}};
  for (const char* name : stamped) object["files"][name] = stamp_json(directory / name);
  object["checksum"] = checksum_of(object);
  return object.dump(2) + "\n";
}

void write_bundle(const fs::path& directory, const Config& config, Trainer& trainer,
                  const Progress& progress, const RefusedStep& step, const Finding& finding) {
  const fs::path temporary = fmt::format("{}.tmp-{}", directory.string(), ::getpid());
  std::error_code error;
  fs::create_directories(directory.parent_path(), error);
  if (error) fail_system(directory.parent_path(), "create", error.value());
  fs::remove_all(temporary, error);
  try {
    fs::create_directory(temporary, error);
    if (error) fail_system(temporary, "create", error.value());
    save_checkpoint(temporary / checkpoint_name, trainer.parameters(), trainer.optimizer(),
                    trainer.tokenizer(), config, progress);
    write_safetensors(temporary / batch_file,
                      {{"inputs", step.batch.inputs}, {"targets", step.batch.targets}}, {});
    write_durably(temporary / report_file, report_text(step, finding, trainer.tokenizer()));
    write_durably(temporary / "report.json", report_json(step, finding, trainer.tokenizer()));
    write_durably(temporary / step_file, step_json(temporary, step, finding));
    sync_directory(temporary);
    fs::remove_all(directory, error);
    if (error) fail_system(directory, "remove", error.value());
    rename_path(temporary, directory);
    sync_directory(directory.parent_path());
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
}

// --- reading ------------------------------------------------------------------------------------

fs::path find_bundle(const fs::path& path) {
  std::error_code error;
  FOLIO_CHECK(fs::is_directory(path, error), path.string(),
              "there is no such directory; name a run, or a bundle RUN/blackbox/step_N");
  const auto latest = latest_bundle(path);
  if (latest) return latest->second;
  // A bundle that has lost its step.json is named by what it has left.
  for (const char* name : {step_file, batch_file, checkpoint_name}) {
    if (fs::exists(path / name, error)) return path;
  }
  fail(path.string(),
       "there is no bundle here: neither blackbox/step_N, as in a run that stopped at a step that "
       "was not finite, nor step.json, as in a bundle");
}

Json parse_step(const fs::path& path) {
  constexpr std::string_view damaged = "damaged: its checksum does not fit its content";
  Json object = Json::parse(read_whole(path, most_step_bytes), nullptr, /*allow_exceptions=*/false);
  FOLIO_CHECK(object.is_object() && object.contains("checksum"), path.string(), "{}", damaged);
  const Json checksum = object["checksum"];
  object.erase("checksum");
  // What was no UTF-8 cannot be dumped, nor was it written so.
  std::string expected;
  try {
    expected = checksum_of(object);
  } catch (const Json::exception&) {
  }
  FOLIO_CHECK(checksum == expected, path.string(), "{}", damaged);
  return object;
}

void check_step(const std::string& where, const RefusedStep& step) {
  FOLIO_CHECK(step.settings.step >= 0 && step.threads >= 1 && step.threads <= 1024, where,
              "step {} with {} threads is impossible", step.number(), step.threads);
}

void check_batch(const std::string& where, const RefusedStep& step) {
  const auto& [inputs, targets] = step.batch;
  FOLIO_CHECK(inputs && targets && inputs.dtype() == DType::i32 && targets.dtype() == DType::i32 &&
                  inputs.shape().rank() == 2 && inputs.shape() == targets.shape() &&
                  inputs.numel() > 0,
              where, "inputs are {} and targets {}; wanted i32 (B, T) both", inputs.describe(),
              targets.describe());
  FOLIO_CHECK(step.settings.micro_batch >= 1 && inputs.dim(0) % step.settings.micro_batch == 0,
              where, "micro-batches of {} do not divide the batch of {}", step.settings.micro_batch,
              inputs.dim(0));
}

}  // namespace

std::optional<std::pair<int64_t, fs::path>> latest_bundle(const fs::path& run) {
  constexpr std::string_view prefix = "step_";
  std::optional<std::pair<int64_t, fs::path>> latest;
  std::error_code error;
  for (fs::directory_iterator entry(run / "blackbox", error); !error && entry != fs::end(entry);
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    int64_t step = -1;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, step);
    if (parsed.ec != std::errc() || parsed.ptr != end || (latest && step <= latest->first))
      continue;
    latest = {step, entry->path()};
  }
  return latest;
}

Bundle read_bundle(const fs::path& path) {
  Bundle bundle;
  bundle.directory = find_bundle(path);
  bundle.checkpoint = bundle.directory / checkpoint_name;
  const fs::path step_path = bundle.directory / step_file;
  const Json object = parse_step(step_path);
  try {
    for (const char* name : stamped) {
      const fs::path file = bundle.directory / name;
      FOLIO_CHECK(stamp_json(file) == object.at("files").at(name), file.string(),
                  "damaged: size or checksum is not what {} says", step_file);
    }
    RefusedStep& step = bundle.step;
    step.settings = {.seed = object.at("seed").get<uint64_t>(),
                     .step = object.at("step").get<int64_t>() - 1,
                     .micro_batch = object.at("micro_batch").get<int64_t>(),
                     .label_smoothing = object.at("label_smoothing").get<double>()};
    step.threads = object.at("threads").get<int>();
    step.lr = number_from(object.at("lr"));
    step.loss = number_from(object.at("loss"));
    step.gradient_norm = number_from(object.at("gradient_norm"));
    bundle.where = object.at("where").get<std::string>();
  } catch (const Json::exception&) {
    fail(step_path.string(), "a member is missing or has another type; is it of another version?");
  }
  check_step(step_path.string(), bundle.step);
  verify_checkpoint(bundle.checkpoint);
  const fs::path batch_path = bundle.directory / batch_file;
  for (NamedTensor& entry : read_safetensors(batch_path).tensors) {
    (entry.name == "inputs" ? bundle.step.batch.inputs : bundle.step.batch.targets) = entry.tensor;
  }
  check_batch(batch_path.string(), bundle.step);
  bundle.report = read_whole(bundle.directory / report_file, most_report_bytes);
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
  const Finding finding = examine(trainer.model(), trainer.parameters(), refused);
  print(report_text(refused, finding, trainer.tokenizer()));
  progress.step = step;
  const fs::path directory = run / "blackbox" / fmt::format("step_{}", result.step);
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

}  // namespace folio
