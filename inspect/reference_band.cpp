#include "folio/inspect/reference_band.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "folio/io/files.h"
#include "folio/tensor/error.h"

namespace folio {

ReferenceBand read_reference(const std::filesystem::path& path) {
  constexpr uint64_t most_bytes = 16 << 20;
  const std::string text = read_file(path, most_bytes);
  ReferenceBand band;
  try {
    const auto json = nlohmann::json::parse(text);
    band.name = json.at("recipe").get<std::string>();
    band.seeds = std::ssize(json.at("seeds"));
    band.tokens_per_step = json.at("tokens_per_step").get<int64_t>();
    for (const auto& point : json.at("val_loss")) {
      band.points.push_back({point.at("step").get<int64_t>(), point.at("mean").get<double>(),
                             point.at("deviation").get<double>()});
    }
  } catch (const nlohmann::json::exception& error) {
    fail(path.string(),
         fmt::format("is not a reference curve ({}); benchmarks/reference/make writes "
                     "them",
                     error.what()));
  }
  int64_t last = -1;
  for (const ReferencePoint& point : band.points) {
    FOLIO_CHECK(point.step > last && std::isfinite(point.mean) && point.deviation >= 0.0,
                path.string(),
                "step {} has mean {} and deviation {}; wanted rising steps, finite "
                "means and deviations of at least 0",
                point.step, point.mean, point.deviation);
    last = point.step;
  }
  FOLIO_CHECK(!band.points.empty(), path.string(), "has no points");
  return band;
}

}  // namespace folio
