#include "folio/inspect/run_hooks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "folio/inspect/blackbox_bundle.h"
#include "folio/inspect/plan.h"
#include "folio/io/output.h"

namespace folio {
namespace {

std::optional<int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  if (!(file >> number)) return std::nullopt;  // also for "max"
  return number;
}

}  // namespace

std::optional<int64_t> available_memory() {
  std::optional<int64_t> bytes;
  std::ifstream file("/proc/meminfo");
  for (std::string name, unit; file >> name;) {
    int64_t kibibytes = 0;
    if (name == "MemAvailable:" && file >> kibibytes) bytes = kibibytes * 1024;
    std::getline(file, unit);
  }
  const auto most = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (most && used) {
    const int64_t left = std::max<int64_t>(*most - *used, 0);
    bytes = bytes ? std::min(*bytes, left) : left;
  }
  // The memory that this process already has is available to it.
  std::ifstream statm("/proc/self/statm");
  if (int64_t size = 0, resident = 0; bytes && statm >> size >> resident) {
    *bytes += resident * ::sysconf(_SC_PAGESIZE);
  }
  return bytes;
}

std::vector<std::string> notes_on(const Config& config, int64_t vocabulary,
                                  std::optional<int64_t> available) {
  std::vector<std::string> notes;
  const Schedule& schedule = config.schedule;
  if (schedule.kind == ScheduleKind::cosine && schedule.final_lr > schedule.lr) {
    notes.push_back(fmt::format(
        "schedule.final_lr, {}, is above optimizer.lr, {}: the learning rate rises to the end",
        short_number(schedule.final_lr), short_number(schedule.lr)));
  }
  if (schedule.warmup >= config.train.steps) {
    notes.push_back(
        fmt::format("schedule.warmup, {}, is not shorter than train.steps, {}: the "
                    "learning rate still rises when training ends",
                    grouped(schedule.warmup), grouped(config.train.steps)));
  }
  if (available) {
    const int64_t needed = make_plan(config, vocabulary).memory_bytes();
    if (needed > *available) {
      notes.push_back(fmt::format(
          "the peak memory of a step is {}, but the system has {} left and may kill the process; a "
          "smaller train.batch or train.recompute needs less (folio plan)",
          human_bytes(static_cast<double>(needed)), human_bytes(static_cast<double>(*available))));
    }
  }
  return notes;
}

TrainHooks inspecting_hooks() {
  return {
      .notes =
          [](Trainer& trainer) {
            const bool cpu = trainer.parameters().device() == Device::cpu;
            return notes_on(trainer.config(), trainer.tokenizer().vocabulary(),
                            cpu ? available_memory() : std::nullopt);
          },
      .flops_per_token =
          [](Trainer& trainer) {
            return make_plan(trainer.config(), trainer.tokenizer().vocabulary()).flops_per_token;
          },
      .on_non_finite = stop_with_black_box};
}

}  // namespace folio
