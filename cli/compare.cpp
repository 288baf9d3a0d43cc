#include "folio/inspect/compare.h"

#include <filesystem>
#include <memory>
#include <vector>

#include "folio/io/output.h"
#include "verbs.h"

namespace folio {

Verb add_compare(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "compare", "Tests whether settings differ by more than the seeds of their runs do");
  auto runs = std::make_shared<std::vector<std::filesystem::path>>();
  verb->add_option("runs", *runs, "Finished run directories, several seeds of each setting")
      ->type_name("RUN")
      ->required();
  verb->footer("Example: folio compare runs/slow-1 runs/slow-2 runs/fast-1 runs/fast-2");
  return {verb, [runs] { print(comparison(read_settings(*runs))); }};
}

}  // namespace folio
