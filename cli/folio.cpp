// The folio program. Its exit code is 0 only on success, 2 for options that cannot be understood
// and 1 for every other error, which one line on stderr explains.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "folio/comm/launch.h"
#include "folio/io/output.h"
#include "folio/io/version.h"
#include "folio/kernels/spinning.h"
#include "folio/tensor/error.h"
#include "folio/tensor/nearest.h"
#include "verbs.h"

namespace folio {

void ConfigOptions::add_to(CLI::App& verb, const std::string& help) {
  verb.add_option("config", path, help)->type_name("CONFIG");
  verb.add_option("--set", overrides, "Overrides one key of the config, e.g. model.dropout=0.2")
      ->type_name("KEY=VALUE");
}

void ConfigOptions::find_path() {
  if (!path.empty()) return;
  const auto entry = std::ranges::find_if(
      overrides, [](const std::string& text) { return text.find('=') == text.npos; });
  if (entry == overrides.end()) return;
  path = *entry;
  overrides.erase(entry);
}

Config ConfigOptions::load() {
  find_path();
  FOLIO_CHECK(!path.empty(), "CONFIG",
              "no config is given; name one, for example configs/nanogpt_cpu.yaml");
  return load_config(path, overrides);
}

void add_run_options(CLI::App& verb, std::string& run, std::string& checkpoint) {
  verb.add_option("run", run, "The run directory")->type_name("RUN")->required();
  verb.add_option("--checkpoint", checkpoint, "last, best or a step")
      ->type_name("WHICH")
      ->capture_default_str();
}

namespace {

std::string help_hint(const CLI::App& program) {
  const auto verbs = program.get_subcommands();
  return fmt::format("see folio {}--help", verbs.empty() ? "" : verbs.front()->get_name() + " ");
}

/// The first option that the verb does not have, or "". Words after it may have been its values.
std::string unknown_option(const CLI::App& program) {
  const auto verbs = program.get_subcommands();
  if (verbs.empty()) return "";
  std::vector<std::string> names;
  for (const CLI::Option* option : verbs.front()->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const std::string& given : verbs.front()->remaining()) {
    if (!given.starts_with("-")) continue;
    const std::string name = given.substr(0, given.find('='));
    const std::string meant = nearest_name(name, names);
    return fmt::format("{}: unknown option{}", name,
                       meant.empty() ? "" : fmt::format("; is {} meant?", meant));
  }
  return "";
}

/// Reports a first argument that is no verb, before the parser complains about its options.
void check_verb(const std::vector<Verb>& verbs, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  for (const Verb& verb : verbs) names.push_back(verb.options->get_name());
  const std::string given = argv[1];
  if (std::ranges::find(names, given) != names.end()) return;
  const std::string meant = nearest_name(given, names);
  throw CLI::ParseError(
      fmt::format("{}: unknown verb; {}", given,
                  meant.empty() ? fmt::format("the verbs are: {}", fmt::join(names, ", "))
                                : fmt::format("is {} meant?", meant)),
      2);
}

int run(int argc, char** argv) {
  // A closed pipe or a file that may not grow then becomes an error like any other.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App program("Trains small GPTs from scratch.", "folio");
  program.set_version_flag("--version", "folio " + folio_version());
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);
  program.footer(
      "Example: folio train configs/shakespeare.yaml --run runs/first\n"
      "         folio sample runs/first --prompt ROMEO:\n"
      "FOLIO_ISA=sse2|avx2|avx512 in the environment forces that instruction set.");
  std::vector<Verb> verbs;
#define FOLIO_ADD_VERB(name) verbs.push_back(add_##name(program));
  FOLIO_VERBS(FOLIO_ADD_VERB)
#undef FOLIO_ADD_VERB
  try {
    check_verb(verbs, argc, argv);
    program.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print(program.help());  // the verb's, if one was given
    return 0;
  } catch (const CLI::CallForVersion& version) {
    print(fmt::format("{}\n", version.what()));
    return 0;
  } catch (const CLI::ParseError& error) {
    if (launch().rank > 0) return 2;  // rank 0 reports it
    const std::string unknown = unknown_option(program);
    return leave_ranks(
        fmt::format("{}; {}", unknown.empty() ? error.what() : unknown, help_hint(program)), 2);
  }
  for (const Verb& verb : verbs) {
    if (!verb.options->parsed()) continue;
    // Rank 0 runs the verbs that are work for a single process.
    if (!verb.on_all_ranks && launch().rank > 0) return 0;
    verb.run();
    return 0;
  }
  return 2;
}

}  // namespace
}  // namespace folio

int main(int argc, char** argv) {
  folio::shorten_spinning(argv);
  try {
    return folio::leave_ranks({}, folio::run(argc, argv));
  } catch (const folio::Error& error) {
    return folio::leave_ranks(error.what(), 1);
  } catch (const folio::ReaderIsGone&) {
    return folio::leave_ranks({}, 141);  // as a program that SIGPIPE ends
  } catch (const std::bad_alloc&) {
    return folio::leave_ranks("memory: the system has none left; use a smaller batch or model", 1);
  } catch (const std::exception& error) {
    return folio::leave_ranks(error.what(), 1);
  }
}
