// Language modelling: each token is predicted from those before it.
#pragma once

#include <memory>

#include "folio/tasks/task.h"

namespace folio {

struct NextTokenOptions {
  void bind(Section&) {}
  std::unique_ptr<Task> make(TaskInputs inputs) const;
};

}  // namespace folio
