#include "folio/run/final_evaluation.h"

#include <cmath>
#include <type_traits>

#include "folio/io/files.h"
#include "folio/io/json.h"

namespace folio {
namespace {

constexpr const char* file_name = "evaluation.json";

/// The number `key` of an object, if there is one of type T.
template <class T>
std::optional<T> number(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  if (std::is_integral_v<T> && !found->is_number_integer()) return std::nullopt;
  return found->template get<T>();
}

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
  const auto step = number<int64_t>(*json, "step"), tokens = number<int64_t>(*json, "tokens");
  const auto loss = number<double>(*json, "loss");
  if (!step || !tokens || !loss) return std::nullopt;
  const Json best = json->value("best", Json::object());
  return FinalEvaluation{.step = *step,
                         .loss = *loss,
                         .tokens = *tokens,
                         .bits_per_byte = number<double>(*json, "bits_per_byte"),
                         .best_step = number<int64_t>(best, "step"),
                         .best_loss = number<double>(best, "loss")};
}

}  // namespace folio
