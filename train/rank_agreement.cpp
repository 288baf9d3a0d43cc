#include "folio/train/rank_agreement.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "folio/comm/placement.h"
#include "folio/io/checksum.h"
#include "folio/io/version.h"
#include "folio/kernels/process.h"
#include "folio/run/checkpoint_state.h"
#include "folio/run/machine.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "folio/train/device_choice.h"

namespace folio {
namespace {

using Json = nlohmann::json;

std::string to_text(const RunPlan& plan) {
  if (plan.is_complete) return "";
  const TextIdentity& text = plan.run.text;
  return Json{{"config", to_yaml(plan.run.config)},
              {"text", text.path.string()},
              {"bytes", text.bytes},
              {"hash", text.hash},
              {"tokenizer", plan.tokenizer ? plan.tokenizer->to_json() : ""},
              {"last_step", plan.last_step}}
      .dump();
}

}  // namespace

void share_plan(RunPlan& plan, Communicator& ranks) {
  if (ranks.size() == 1) return;
  const std::string text = ranks.broadcast_text(ranks.is_root() ? to_text(plan) : "");
  if (ranks.is_root()) return;
  plan.is_complete = text.empty();
  if (plan.is_complete) return;
  const Json received = Json::parse(text);
  plan.run.config = parse_config(received.at("config").get<std::string>(), "the config of rank 0");
  plan.last_step = received.at("last_step").get<int64_t>();
  if (const std::string tokenizer = received.at("tokenizer").get<std::string>();
      !tokenizer.empty()) {
    plan.tokenizer = tokenizer_from_json(tokenizer, "the tokenizer of rank 0");
  }
  plan.run.text = identify_text(received.at("text").get<std::string>());
  FOLIO_CHECK(plan.run.text.hash == received.at("hash").get<std::string>() &&
                  plan.run.text.bytes == received.at("bytes").get<int64_t>(),
              plan.run.text.path.string(),
              "the text differs from that of rank 0; every machine needs the same text");
}

void share_progress(Progress& progress, Communicator& ranks) {
  if (ranks.size() == 1) return;
  const std::string text = ranks.broadcast_text(to_json(CheckpointState{progress, {}, {}}));
  if (!ranks.is_root()) progress = state_from_json(text, "the progress of rank 0").progress;
}

void require_same_arithmetic(const Config& config, Communicator& ranks) {
  const bool gpu = computing_device(config.train.device) == Device::cuda;
  const std::string here =
      fmt::format("folio {}, {}{}", folio_version(), instruction_set().describe(),
                  gpu ? fmt::format(", {}", cuda::Context::get().properties().name) : "");
  const std::string first = ranks.broadcast_text(here);
  FOLIO_CHECK(
      here == first, "ranks",
      "this rank has {}, but rank 0 has {}, so they would round differently; use the same "
      "build and kind of GPU on all ranks, and set FOLIO_ISA to force the same instructions",
      here, first);
  if (gpu) require_own_gpus(ranks);
}

void require_same_weights(const ParameterStore& parameters, Communicator& ranks) {
  if (ranks.size() == 1) return;
  const Tensor values = on_device(parameters.values(), Device::cpu);
  Checksum checksum;
  checksum.add(values.raw(), static_cast<size_t>(values.bytes()));
  const std::vector<std::string> sums = ranks.all_gather_text(hexadecimal(checksum.value()));
  const auto count = [&](const std::string& sum) { return std::ranges::count(sums, sum); };
  const auto most = std::ranges::max_element(sums, {}, count);
  if (count(*most) == ranks.size()) return;
  const std::vector<std::string> machines = machines_of(ranks);
  const auto rank = static_cast<size_t>(ranks.rank());
  if (sums[rank] == *most) return;  // the ranks that differ end the run
  const auto first = static_cast<size_t>(most - sums.begin());
  const bool majority = 2 * count(*most) > ranks.size();
  fail("ranks",
       fmt::format("the weights of this rank (on {}) differ from those of {}; the memory or "
                   "processor of {} is at fault; continue from the last checkpoint, which is not "
                   "affected, without that machine",
                   machines[rank],
                   majority ? "most ranks" : fmt::format("rank {} (on {})", first, machines[first]),
                   majority ? machines[rank] : "one of them"));
}

void apply_config(const Config& config, Communicator& ranks) {
  ranks.set_timeout(config.train.rank_timeout, "train.rank_timeout");
  const int share = processors_for_rank(ranks);
  if (config.train.threads == 0 && std::getenv("OMP_NUM_THREADS") == nullptr) set_threads(share);
}

std::string describe_ranks(Communicator& ranks) {
  const std::vector<std::string> names = machines_of(ranks);
  const size_t machines = std::set<std::string>(names.begin(), names.end()).size();
  return fmt::format("ranks   {} on {} machine{}, {} thread{} each, by {}\n", ranks.size(),
                     machines, machines == 1 ? "" : "s", threads(), threads() == 1 ? "" : "s",
                     ranks.describe());
}

}  // namespace folio
