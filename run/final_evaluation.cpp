#include "folio/run/final_evaluation.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "folio/io/files.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr const char* file_name = "evaluation.json";

}  // namespace

void write_final_evaluation(const std::filesystem::path& run, const FinalEvaluation& evaluation) {
  nlohmann::ordered_json json = {{"split", "val"},
                                 {"step", evaluation.step},
                                 {"loss", evaluation.loss},
                                 {"perplexity", std::exp(evaluation.loss)},
                                 {"tokens", evaluation.tokens}};
  if (evaluation.bits_per_byte) json["bits_per_byte"] = *evaluation.bits_per_byte;
  if (evaluation.best_step && evaluation.best_loss) {
    json["best"] = {{"step", *evaluation.best_step}, {"loss", *evaluation.best_loss}};
  }
  replace_durably(run / file_name, json.dump(2) + "\n");
}

std::optional<FinalEvaluation> read_final_evaluation(const std::filesystem::path& run) try {
  const auto json = nlohmann::json::parse(read_whole(run / file_name, 1 << 16));
  FinalEvaluation evaluation{.step = json.at("step").get<int64_t>(),
                             .loss = json.at("loss").get<double>(),
                             .tokens = json.at("tokens").get<int64_t>(),
                             .bits_per_byte = {},
                             .best_step = {},
                             .best_loss = {}};
  if (json.contains("bits_per_byte")) {
    evaluation.bits_per_byte = json.at("bits_per_byte").get<double>();
  }
  if (json.contains("best")) {
    evaluation.best_step = json.at("best").at("step").get<int64_t>();
    evaluation.best_loss = json.at("best").at("loss").get<double>();
  }
  return evaluation;
} catch (const Error&) {
  return std::nullopt;
} catch (const nlohmann::json::exception&) {
  return std::nullopt;
}

}  // namespace folio
