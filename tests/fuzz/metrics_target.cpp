// metrics.jsonl as a run that resumes reads it. It must keep whole lines, and each only once.
#include <string>
#include <string_view>

#include "folio/run/metrics.h"
#include "fuzz/target.h"

namespace folio {
namespace {

void run(std::string_view input) {
  const std::string kept = lines_until(input, 500);
  expect(kept.size() <= input.size() + 1, "more was kept than there is");
  expect(lines_until(kept, 500) == kept, "what was kept once is not kept again");
  expect(kept.empty() || kept.back() == '\n', "the last line that was kept is torn");
}

}  // namespace

FuzzTarget metrics_target() {
  FuzzTarget target;
  target.name = "metrics";
  target.memory = {64, 1 << 20};
  target.run = run;
  target.corpus = {"",
                   "{\"step\":1,\"train_loss\":4.17,\"lr\":0.001,\"grad_norm\":2.5,"
                   "\"tokens_per_second\":91234.5}\n"
                   "{\"step\":250,\"val_loss\":null}\n{\"step\":500,\"val_loss\":1.9e-3}\n"
                   "{\"step\":501,\"train_loss\":1.5,\"lr\":1e-05,\"grad_norm\":null}\n",
                   "{\"step\":7}",
                   "{\"val_loss\":[1,{\"step\":3}],\"step\":8,\"text\":\"\\u00e9\\\"\\n\"}\r\n"};
  target.dictionary = {"{",
                       "}",
                       "[",
                       "]",
                       "\"step\":",
                       "\"val_loss\":",
                       "null",
                       "true",
                       "\"",
                       "\\u0000",
                       "\\ud83d",
                       "\\\"",
                       ",",
                       ":",
                       "\n",
                       "\r\n",
                       "{\"step\":1}\n",
                       "\"step\"",
                       "NaN",
                       "Infinity",
                       "\xEF\xBB\xBF",
                       "{\"step\":"};
  return target;
}

}  // namespace folio
