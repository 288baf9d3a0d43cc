#include "folio/inspect/reference_band.h"

#include <fmt/core.h>

#include <cmath>
#include <optional>
#include <string_view>

#include "folio/io/files.h"
#include "folio/io/json.h"
#include "folio/tensor/error.h"

namespace folio {

ReferenceBand read_reference(const std::filesystem::path& path) {
  constexpr uint64_t most_bytes = 16 << 20;
  constexpr std::string_view remedy = "benchmarks/reference/make writes such files";
  const std::optional<Json> json = parse_json(read_file(path, most_bytes));
  if (!json) fail(path.string(), "is not valid JSON", remedy);
  const JsonObject object(*json, path.string(), remedy);
  const auto list = [&object](const char* key) -> const Json& {
    object.check(object.get(key).is_array(), fmt::format("\"{}\" is not a list", key));
    return object.get(key);
  };
  ReferenceBand band{.name = object.text("recipe"),
                     .seeds = std::ssize(list("seeds")),
                     .tokens_per_step = object.integer("tokens_per_step"),
                     .points = {}};
  for (const Json& entry : list("val_loss")) {
    const JsonObject point(entry, path.string(), remedy);
    band.points.push_back({point.integer("step"), point.number("mean"), point.number("deviation")});
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
