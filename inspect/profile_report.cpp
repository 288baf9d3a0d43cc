// The two forms of a profile: a table and JSON.
#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "folio/inspect/profile.h"
#include "folio/io/json.h"
#include "folio/io/output.h"
#include "folio/kernels/process.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr size_t name_width = 36;

std::string name_of(const ProfileRow& row) {
  return row.pass.empty() ? row.name : fmt::format("{} {}", row.name, row.pass);
}

double percent(double part, double whole) { return whole > 0.0 ? 100.0 * part / whole : 0.0; }

/// A percentage of a limit, or empty if there is no work.
std::string share(double part, double whole) {
  return part > 0.0 ? fmt::format("{:.0f}%", percent(part, whole)) : "";
}

/// A line that has only a time.
std::string time_line(std::string_view name, double seconds, double step) {
  return fmt::format("{:<{}} {:>5} {:>10.3f} {:>6.1f}\n", name, name_width, "", seconds * 1e3,
                     percent(seconds, step));
}

std::string ops_table(const Profile& profile) {
  std::string text = fmt::format("{:<{}} {:>5} {:>10} {:>6} {:>10} {:>10} {:>6} {:>6}\n", "op",
                                 name_width, "calls", "ms", "%", "GFLOP", "MB", "GEMM", "copy");
  for (const ProfileRow& row : profile.rows) {
    text += fmt::format(
        "{:<{}} {:>5} {:>10.3f} {:>6.1f} {:>10} {:>10.2f} {:>6} {:>6}\n", name_of(row), name_width,
        row.calls, row.seconds * 1e3, percent(row.seconds, profile.step_seconds),
        row.flops > 0.0 ? fmt::format("{:.3f}", row.flops * 1e-9) : "", row.bytes * 1e-6,
        share(row.product_seconds, row.seconds), share(row.copy_seconds, row.seconds));
  }
  text += time_line("drawing the batch", profile.batch_seconds, profile.step_seconds);
  text += time_line("the tape: all else", profile.tape_seconds, profile.step_seconds);
  text += time_line("step", profile.step_seconds, profile.step_seconds);
  return text;
}

std::string products_table(const Profile& profile) {
  std::string text =
      fmt::format("{:<{}} {:>5} {:>10} {:>6} {:>10} {:>10}\n", "product, alone: count x (M, N, K)",
                  name_width, "times", "ms", "", "GFLOP", "GFLOP/s");
  for (const ProductTime& time : profile.products) {
    const MatrixProduct& p = time.product;
    const std::string name =
        fmt::format("{}({}, {}, {}) {}{}{}{}", p.count == 1 ? "" : fmt::format("{} x ", p.count),
                    p.m, p.n, p.k, p.transpose_a ? "T" : "N", p.transpose_b ? "T" : "N",
                    p.values == DType::f32   ? ""
                    : p.result == DType::f32 ? " bf16 to f32"
                                             : " bf16",
                    p.accumulate ? " added" : "");
    text += fmt::format("{:<{}} {:>5.3g} {:>10.3f} {:>6} {:>10.3f} {:>10.1f}\n", name, name_width,
                        time.times, time.times * time.seconds * 1e3, "",
                        time.times * p.flops() * 1e-9, p.flops() / time.seconds * 1e-9);
  }
  text += fmt::format("{:<{}} {:>5} {:>10.3f} {:>6} {:>10.3f} {:>10.1f}\n", "GEMM time", name_width,
                      "", profile.product_seconds * 1e3, "", profile.flops() * 1e-9,
                      profile.flops() / profile.product_seconds * 1e-9);
  return text;
}

}  // namespace

std::string to_table(const Profile& profile) {
  const auto tokens = static_cast<double>(profile.tokens);
  std::string text = fmt::format("{}\n\n", profile.machine);
  text += ops_table(profile);
  text += fmt::format(
      "\nTimes are means over the faster half of {} steps. GFLOP: matrix products, without what\n"
      "the causal mask hides. MB: every tensor that a kernel reads or writes, once. GEMM, copy:\n"
      "what part of its time the same products alone (below), or copying as many bytes, take.\n\n",
      profile.steps);
  text += products_table(profile);
  text += fmt::format(
      "\nEach product by itself, by {}{}, the best of several;\n"
      "attention's, one a head and sequence, {}, of which that part\n"
      "counts that the mask shows.{}\n\n",
      profile.products_by, profile.device == Device::cpu ? ", with threads as it chooses" : "",
      profile.device == Device::cpu ? "shared among threads whole" : "in one call",
      profile.device == Device::cpu ? ""
                                    : "\nKernels by the GPU's own clock, call by call: where the "
                                      "host is slower than the GPU,\n"
                                      "that is in them. Steps unwatched are replayed from graphs.");
  text += fmt::format("a token           {:.3f} MFLOP (planned: {:.3f})\n",
                      profile.flops() / tokens * 1e-6, profile.planned_flops / tokens * 1e-6);
  text += fmt::format("a step unwatched  {:.3f} ms (median of {}), {} tokens/s\n",
                      profile.plain_seconds * 1e3, profile.steps,
                      grouped(static_cast<int64_t>(tokens / profile.plain_seconds)));
  text +=
      fmt::format("over GEMM time    {:.2f}\n", profile.plain_seconds / profile.product_seconds);
  return text;
}

std::string to_json(const Profile& profile) {
  Json json = {{"device", name_of(profile.device)},
               {"machine", profile.machine},
               {"vectors", instruction_set().vectors},
               {"products_by", profile.products_by},
               {"threads", threads()},
               {"steps", profile.steps},
               {"tokens", profile.tokens},
               {"step_seconds", profile.step_seconds},
               {"unwatched_seconds", profile.plain_seconds},
               {"gemm_seconds", profile.product_seconds},
               {"over_gemm_time", profile.plain_seconds / profile.product_seconds},
               {"batch_seconds", profile.batch_seconds},
               {"tape_seconds", profile.tape_seconds},
               {"flops", profile.flops()},
               {"planned_flops", profile.planned_flops}};
  json["ops"] = Json::array();
  for (const ProfileRow& row : profile.rows) {
    json["ops"].push_back({{"op", row.name},
                           {"pass", row.pass},
                           {"calls", row.calls},
                           {"seconds", row.seconds},
                           {"flops", row.flops},
                           {"bytes", row.bytes},
                           {"gemm_seconds", row.product_seconds},
                           {"copy_seconds", row.copy_seconds}});
  }
  json["matrix_products"] = Json::array();
  for (const ProductTime& time : profile.products) {
    const MatrixProduct& p = time.product;
    json["matrix_products"].push_back({{"m", p.m},
                                       {"n", p.n},
                                       {"k", p.k},
                                       {"count", p.count},
                                       {"transpose_a", p.transpose_a},
                                       {"transpose_b", p.transpose_b},
                                       {"added", p.accumulate},
                                       {"times", time.times},
                                       {"seconds", time.seconds}});
  }
  return json_text(json);
}

}  // namespace folio
