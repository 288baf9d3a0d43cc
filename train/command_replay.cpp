#include <memory>

#include "folio/tensor/error.h"
#include "folio/train/blackbox_bundle.h"
#include "folio/train/commands.h"
#include "folio/train/output.h"
#include "folio/train/run.h"

namespace folio {
namespace {

void replay(const std::string& path) {
  const Bundle bundle = read_bundle(path);
  const std::string where = bundle.directory.string();
  const auto loaded = load_model(load_config(bundle.checkpoint / "config.yaml"), bundle.checkpoint);
  print(fmt::format("replaying {}\n", where));
  const Finding finding = examine(*loaded->model, loaded->parameters, bundle.step);
  const std::string report = report_text(bundle.step, finding, *loaded->tokenizer);
  print(report);
  FOLIO_CHECK(finding.where() == bundle.where, where,
              "{} is found, but {} was recorded: another machine or version may round otherwise; "
              "replay where the run was made",
              finding.where(), bundle.where);
  print(fmt::format("the same as recorded: {}{}\n", bundle.where,
                    report == bundle.report ? "" : "; some of the numbers differ from report.txt"));
}

}  // namespace

Verb add_replay(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "replay", "Repeats a step that was not finite and shows the first op at fault");
  auto path = std::make_shared<std::string>();
  verb->add_option("bundle", *path, "A run, or a bundle RUN/blackbox/step_N moved anywhere")
      ->type_name("RUN|BUNDLE")
      ->required();
  verb->footer("Example: folio replay runs/first");
  return {verb, [path] {
            replay(*path);
            return 0;
          }};
}

}  // namespace folio
