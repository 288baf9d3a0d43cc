#include "folio/inspect/run_hooks.h"

#include <optional>

#include "folio/inspect/blackbox_bundle.h"
#include "folio/inspect/plan.h"
#include "folio/inspect/run_notes.h"

namespace folio {

TrainHooks inspecting_hooks() {
  return {.notes =
              [](const Config& config, Device device) {
                return notes_on(config, device == Device::cpu ? available_memory() : std::nullopt);
              },
          .flops_per_token = [](const Config& config) { return make_plan(config).flops_per_token; },
          .on_non_finite = stop_with_black_box};
}

}  // namespace folio
