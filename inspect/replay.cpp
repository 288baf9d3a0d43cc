#include "folio/inspect/replay.h"

#include <fmt/core.h>

#include <memory>
#include <string>

#include "folio/inspect/blackbox_bundle.h"
#include "folio/io/output.h"
#include "folio/kernels/kernels.h"
#include "folio/run/loaded_run.h"
#include "folio/tensor/error.h"
#include "folio/train/device_choice.h"
#include "folio/train/precision.h"

namespace folio {

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
