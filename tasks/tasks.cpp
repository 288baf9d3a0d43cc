// The list of tasks: a line for each.
#include <array>
#include <span>

#include "folio/tasks/masked_token.h"
#include "folio/tasks/next_token.h"
#include "folio/tasks/task.h"

namespace folio {

std::span<const TaskEntry> tasks() {
  static const std::array entries = {
      task_entry<NextTokenOptions>("next_token"),
      task_entry<MaskedTokenOptions>("masked_token"),
  };
  return entries;
}

}  // namespace folio
