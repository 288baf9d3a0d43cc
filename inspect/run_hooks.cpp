#include "folio/inspect/run_hooks.h"

#include <optional>

#include "folio/inspect/blackbox_bundle.h"
#include "folio/inspect/plan.h"
#include "folio/inspect/run_notes.h"

namespace folio {

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
