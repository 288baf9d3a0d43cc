#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/target.h"

namespace folio {

const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets = {
      config_target(), metrics_target(), safetensors_header_target(), safetensors_target(),
      state_target(),  text_target(),    tokenizer_target(),
  };
  return targets;
}

void expect(bool condition, std::string_view what) {
  if (!condition) throw std::logic_error(std::string(what));
}

}  // namespace folio
