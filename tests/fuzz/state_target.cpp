// state.json of a checkpoint. What is accepted must come back the same from to_json().
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "folio/io/checksum.h"
#include "folio/run/checkpoint_state.h"
#include "fuzz/target.h"

namespace folio {
namespace {

constexpr std::string_view mark = ",\n  \"checksum\": \"";

void run(std::string_view input) {
  const std::string json = to_json(state_from_json(input, "state.json"));
  expect(to_json(state_from_json(json, "again.json")) == json,
         "to_json() does not read back to the same state");
}

// A true checksum at the end.
std::string mend_checksum(std::string input) {
  input.resize(std::min(input.size(), input.rfind(mark)));
  return fmt::format("{}{}{:016x}\"\n}}\n", input, mark, checksum_of(input));
}

}  // namespace

FuzzTarget state_target() {
  FuzzTarget target;
  target.name = "state";
  target.memory = {96, 1 << 20};
  target.run = run;
  target.mend = mend_checksum;
  CheckpointState state;
  target.corpus.push_back(to_json(state));
  state.progress.step = 500;
  state.progress.validation_loss = 1.75;
  state.progress.best_validation_loss = 1.5;
  state.progress.best_step = 250;
  state.tokenizer_hash = "0123456789abcdef";
  state.files = {{"model.safetensors", {1234, 77}}, {"tokenizer.json", {99, UINT64_MAX}}};
  target.corpus.push_back(to_json(state));
  target.dictionary = {"\"step\":",
                       "\"files\":",
                       "\"bytes\":",
                       "\"checksum\":",
                       "\"best_step\":",
                       "\"tokenizer_hash\":",
                       "\"validation_loss\":",
                       "null",
                       "{",
                       "}",
                       "[",
                       "]",
                       ",",
                       ":",
                       "\"",
                       "\"..\"",
                       "\"a/b\"",
                       "\\u0000",
                       "\\ud800",
                       "1e5",
                       "true"};
  return target;
}

}  // namespace folio
