// folio_fuzz TARGET: gives a reader thousands of damaged inputs and judges every one. folio::Error
// in one line is right, and so is success; anything else is a failure: another exception, a signal,
// a sanitizer's report, too much memory, too long a time.
//
// The inputs run in a child process. Each is a function of target, seed and index, so that the
// parent can write down the one that the child died of, whatever it died of.
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <typeinfo>

#include "folio/io/files.h"
#include "folio/tensor/error.h"
#include "fuzz/memory_meter.h"
#include "fuzz/mutator.h"

namespace folio {
namespace {

struct Options {
  std::string target;
  uint64_t inputs = 10'000, seed = 1, first = 0;
  unsigned seconds = 20;  // for one input
  std::string file;       // the only input, if any
  std::string save = ".";
};

// What parent and child both see.
struct Progress {
  uint64_t index;  // being worked on
  uint64_t accepted, refused;
  double memory;   // the largest part of a bound that was used
  double seconds;  // the longest that an input took
  char fault[512];
};

constexpr int fault_found = 99;

[[noreturn]] void give_up(Progress& progress, const std::string& fault) {
  std::strncpy(progress.fault, fault.c_str(), sizeof progress.fault - 1);
  ::_exit(fault_found);
}

void judge_message(Progress& progress, std::string message) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  if (message.empty() || std::ranges::any_of(message, is_control)) {
    std::ranges::replace_if(message, is_control, '?');
    give_up(progress, "threw folio::Error with a message that is not one line: " + message);
  }
}

void judge(const FuzzTarget& target, std::string_view input, const Options& options,
           Progress& progress) {
  const size_t bound = target.memory.of(input.size());
  const auto start = std::chrono::steady_clock::now();
  ::alarm(options.seconds);
  begin_metering(bound);
  std::string fault;
  try {
    target.run(input);
    ++progress.accepted;
  } catch (const Error& error) {
    judge_message(progress, error.what());
    if (!options.file.empty()) fmt::print("{}: refused: {}\n", target.name, error.what());
    ++progress.refused;
  } catch (const std::exception& error) {
    fault = fmt::format("threw {}: {}", typeid(error).name(), error.what());
  } catch (...) {
    fault = "threw what is no exception";
  }
  const size_t peak = metered_peak();
  begin_metering(SIZE_MAX / 2);
  ::alarm(0);
  if (peak > bound) {
    fault = fmt::format("took {} bytes of memory for {} of input; at most {} are allowed", peak,
                        input.size(), bound);
  }
  if (!fault.empty()) give_up(progress, fault);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  progress.seconds = std::max(progress.seconds, taken.count());
  progress.memory =
      std::max(progress.memory, static_cast<double>(peak) / static_cast<double>(bound));
}

void judge_all(const FuzzTarget& target, const Options& options, Progress& progress) {
  const rlimit no_core = {0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (!options.file.empty()) return judge(target, read_file(options.file), options, progress);
  for (; progress.index < options.first + options.inputs; ++progress.index) {
    judge(target, fuzz_input(target, options.seed, progress.index), options, progress);
  }
}

// What the child's end says, or "" for a good one.
std::string fault_of(int status, const Options& options, const Progress& progress) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
    return fmt::format("took more than {} s", options.seconds);
  }
  if (WIFSIGNALED(status)) {
    return fmt::format("died of signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  if (WEXITSTATUS(status) == fault_found) return progress.fault;
  if (WEXITSTATUS(status) != 0) {
    return fmt::format("ended with exit status {}: see the report above", WEXITSTATUS(status));
  }
  return "";
}

void report_fault(const FuzzTarget& target, const Options& options, const Progress& progress,
                  const std::string& fault) {
  if (!options.file.empty()) {
    fmt::print("{}: FAILED: {}: {}\n", target.name, options.file, fault);
  } else if (progress.index == options.first + options.inputs) {
    fmt::print("{}: FAILED after the last of {} inputs from {} on, seed {}: {}\n", target.name,
               options.inputs, options.first, options.seed, fault);
  } else {
    const std::filesystem::path path =
        std::filesystem::path(options.save) /
        fmt::format("fuzz-{}-{}-{}", target.name, options.seed, progress.index);
    std::ofstream(path, std::ios::binary) << fuzz_input(target, options.seed, progress.index);
    fmt::print(
        "{0}: FAILED: {1}\n  input   {2}\n  repeat  folio_fuzz {0} --seed {3} --first {4} "
        "--inputs 1\n  or      folio_fuzz {0} --file {2}\n",
        target.name, fault, path.string(), options.seed, progress.index);
  }
}

// Whether all went well.
bool fuzz(const FuzzTarget& target, const Options& options) {
  void* shared =
      ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) fail("mmap", std::strerror(errno));
  Progress& progress = *new (shared) Progress{};
  progress.index = options.first;
  const auto start = std::chrono::steady_clock::now();
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) fail("fork", std::strerror(errno));
  if (child == 0) {
    judge_all(target, options, progress);
    std::exit(0);  // not _exit(): leaks are looked for here
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const std::string fault = fault_of(status, options, progress);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  if (!fault.empty()) {
    report_fault(target, options, progress, fault);
  } else {
    fmt::print(
        "{}: {} accepted, {} refused (seed {}, {:.1f} s, longest {:.3f} s); memory at most "
        "{:.0f}% of {} bytes an input byte + {} KiB\n",
        target.name, progress.accepted, progress.refused, options.seed, taken.count(),
        progress.seconds, 100 * progress.memory, target.memory.per_byte,
        target.memory.fixed / 1024);
  }
  ::munmap(shared, sizeof(Progress));
  return fault.empty();
}

int run(int argc, char** argv) {
  Options options;
  CLI::App program("Gives readers of files damaged inputs and judges each.", "folio_fuzz");
  std::string names = "all";
  for (const FuzzTarget& target : fuzz_targets()) names += ", " + target.name;
  program.add_option("target", options.target, names)->required();
  program.add_option("--inputs", options.inputs, "How many inputs")->capture_default_str();
  program.add_option("--seed", options.seed, "Of the inputs")->capture_default_str();
  program.add_option("--first", options.first, "Index of the first input")->capture_default_str();
  program.add_option("--seconds", options.seconds, "That one input may take")
      ->capture_default_str();
  program.add_option("--file", options.file, "Judges this file alone");
  program.add_option("--save", options.save, "Where an input that failed is written")
      ->capture_default_str();
  CLI11_PARSE(program, argc, argv);

  bool found = false, good = true;
  for (const auto* targets : {&fuzz_targets(), &faulty_targets()}) {
    for (const FuzzTarget& target : *targets) {
      const bool wanted =
          options.target == "all" ? targets == &fuzz_targets() : options.target == target.name;
      if (!wanted) continue;
      found = true;
      good = fuzz(target, options) && good;
    }
  }
  if (!found) fail(options.target, "unknown target; the targets are: " + names);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace folio

int main(int argc, char** argv) {
  try {
    return folio::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "folio_fuzz: error: {}\n", error.what());
    return 2;
  }
}
