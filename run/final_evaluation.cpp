#include "folio/run/final_evaluation.h"

#include <cmath>

#include "folio/io/files.h"
#include "folio/io/json.h"

namespace folio {
namespace {

constexpr const char* file_name = "evaluation.json";

}  // namespace

void write_final_evaluation(const std::filesystem::path& run, const FinalEvaluation& evaluation) {
  Json json = {{"split", "val"},
               {"step", evaluation.step},
               {"loss", evaluation.loss},
               {"perplexity", std::exp(evaluation.loss)},
               {"tokens", evaluation.tokens}};
  if (evaluation.bits_per_byte) json["bits_per_byte"] = *evaluation.bits_per_byte;
  if (evaluation.best_step && evaluation.best_loss) {
    json["best"] = {{"step", *evaluation.best_step}, {"loss", *evaluation.best_loss}};
  }
  replace_durably(run / file_name, json_text(json));
}

std::optional<FinalEvaluation> read_final_evaluation(const std::filesystem::path& run) {
  const auto text = read_file_if_exists(run / file_name, 1 << 16);
  const std::optional<Json> json = text ? parse_json(*text) : std::nullopt;
  if (!json || !json->is_object()) return std::nullopt;
  const auto integer = [](const Json& object, const char* key) -> std::optional<int64_t> {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_integer()
               ? std::optional(found->get<int64_t>())
               : std::nullopt;
  };
  const auto number = [](const Json& object, const char* key) -> std::optional<double> {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? std::optional(found->get<double>())
                                                       : std::nullopt;
  };
  const auto step = integer(*json, "step"), tokens = integer(*json, "tokens");
  const auto loss = number(*json, "loss");
  if (!step || !tokens || !loss) return std::nullopt;
  const Json best = json->value("best", Json::object());
  return FinalEvaluation{.step = *step,
                         .loss = *loss,
                         .tokens = *tokens,
                         .bits_per_byte = number(*json, "bits_per_byte"),
                         .best_step = integer(best, "step"),
                         .best_loss = number(best, "loss")};
}

}  // namespace folio
