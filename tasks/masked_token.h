// Masked language modelling: tokens that were hidden are predicted from both sides (Devlin et al.
// 2019, section 3.1).
#pragma once

#include <memory>

#include "folio/tasks/task.h"

namespace folio {

struct MaskedTokenOptions {
  double fraction = 0.15;  // of the tokens of a sample is predicted

  void bind(Section& section);
  std::unique_ptr<Task> make(TaskInputs inputs) const;
};

}  // namespace folio
