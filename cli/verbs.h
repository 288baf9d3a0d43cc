// The verbs of the folio program. Each declares its options and how it runs.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "folio/run/config.h"

namespace folio {

struct Verb {
  CLI::App* options = nullptr;
  std::function<void()> run;  // throws Error
  bool on_all_ranks = false;  // otherwise only rank 0 runs it
};

/// The verbs, in the order of folio --help: add_NAME() is in NAME.cpp.
#define FOLIO_VERBS(VERB) \
  VERB(train)             \
  VERB(sample)            \
  VERB(eval)              \
  VERB(prepare)           \
  VERB(gradcheck)         \
  VERB(config)            \
  VERB(plan)              \
  VERB(profile)           \
  VERB(report)            \
  VERB(compare)           \
  VERB(explain)           \
  VERB(replay)            \
  VERB(verify)

#define FOLIO_DECLARE_VERB(name) Verb add_##name(CLI::App& program);
FOLIO_VERBS(FOLIO_DECLARE_VERB)
#undef FOLIO_DECLARE_VERB

/// CONFIG and --set: `folio plan CONFIG --set a=1 b=2 --set c=3`.
struct ConfigOptions {
  std::string path;
  std::vector<std::string> overrides;

  void add_to(CLI::App& verb, const std::string& help = "The config, a YAML file (required)");
  /// In `folio plan --set a=1 CONFIG`, the parser adds the config to the overrides. If there is no
  /// config, the first override without "=" becomes the config.
  void find_path();
  /// The config. Throws Error if there is none.
  Config load();
};

/// RUN and --checkpoint.
void add_run_options(CLI::App& verb, std::string& run, std::string& checkpoint);

/// The check of an option that takes a whole number. CLI11's own takes -1 for the largest unsigned
/// number, cuts one that is too long, and has other words in each of its versions.
template <typename T>
CLI::Validator whole_number(T low, T high) {
  return {[low, high](const std::string& text) -> std::string {
            T value{};
            const char* end = text.data() + text.size();
            const auto [stop, error] = std::from_chars(text.data(), end, value);
            if (error == std::errc() && stop == end && value >= low && value <= high) return "";
            return fmt::format("{} is not a whole number from {} to {}", text, low, high);
          },
          ""};
}

}  // namespace folio
