#include "folio/report/report.h"

#include <fmt/core.h>

#include <memory>

#include "folio/io/output.h"
#include "verbs.h"

namespace folio {

Verb add_report(CLI::App& program) {
  CLI::App* verb =
      program.add_subcommand("report", "Writes an HTML page about one or several runs");
  auto options = std::make_shared<ReportOptions>();
  verb->add_option("runs", options->runs, "The run directories")->type_name("RUN")->required();
  verb->add_option(
          "--out", options->out,
          "The file of the page; by default report.html in the run or, for several runs, here")
      ->type_name("FILE");
  verb->add_option("--reference", options->references,
                   "Draws the band of a file of benchmarks/reference/")
      ->type_name("FILE")
      ->allow_extra_args(false);
  verb->footer("Example: folio report runs/first runs/second --out both.html");
  return {verb, [options] { print(fmt::format("{}\n", write_report(*options).string())); }};
}

}  // namespace folio
