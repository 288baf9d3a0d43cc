// The list of model families: a line for each.
#include <array>
#include <span>

#include "folio/models/bert.h"
#include "folio/models/gpt.h"
#include "folio/models/model.h"
#include "folio/models/recurrent.h"

namespace folio {

std::span<const ModelEntry> families() {
  static const std::array entries = {
      model_entry<GptConfig>("gpt"),
      model_entry<LstmConfig>("lstm"),
      model_entry<BertConfig>("bert"),
  };
  return entries;
}

}  // namespace folio
