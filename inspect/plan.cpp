#include "folio/inspect/plan.h"

#include <algorithm>
#include <iterator>

#include "folio/autograd/parameters.h"
#include "folio/inspect/plan_gpu.h"
#include "folio/kernels/kernels.h"
#include "folio/models/gpt.h"
#include "folio/tensor/error.h"
#include "folio/train/device.h"
#include "folio/train/precision.h"

namespace folio {
namespace {

constexpr int64_t token_bytes = 4;

/// "blocks.3.attention.qkv.weight" to "blocks.N.attention.qkv.weight".
std::string without_number(const std::string& name) {
  constexpr std::string_view prefix = "blocks.";
  if (!name.starts_with(prefix)) return name;
  return fmt::format("{}N{}", prefix, name.substr(name.find('.', prefix.size())));
}

/// Multiplying a row by a matrix of n elements takes n multiplications and n additions. Forward
/// does it once; backward twice, for the input's and for the matrix's gradient: 6 n.
///
/// A causal query at position t meets t + 1 keys, (T + 1) / 2 on average over the context. Each
/// meeting costs 2 C for its part of Q K^T and 2 C for its part of P V; backward again takes twice
/// as much: 3 * 4 C (T + 1) / 2 = 6 C (T + 1) a layer. (Where attention recomputes its scores in
/// the backward pass, that is work of the kernel's choice and not counted.)
double flops_per_token(const GptConfig& model) {
  const auto width = static_cast<double>(model.width);
  const double block = 12.0 * width * width;  // qkv 3, projection 1, up 4, down 4
  const double output = static_cast<double>(model.vocabulary) * width;
  const auto layers = static_cast<double>(model.layers);
  const double attention = 6.0 * layers * width * static_cast<double>(model.context + 1);
  return 6.0 * (layers * block + output) + attention;
}

/// What is live besides the parameters when most is, in a micro-batch of N tokens, in bytes.
/// The closures of autograd/ops keep, for each block (C the width):
///   two sums (the stream before each norm) 2 C, two normalised inputs of linear layers 2 C,
///   qkv 3 C, attention's output C, the hidden layer before and after its activation 8 C;
///   mean and 1 / deviation of two norms 4, attention's log-sums one a head.
/// Where a half or a whole block is computed again, it keeps its inputs instead: the stream, and
/// pre-norm the update that is yet to be added.
/// Before the output layer pre-norm keeps one more sum and its normalised form, post-norm the
/// stream that its first block began with. The dropout masks are drawn again, not kept.
struct Activations {
  int64_t kept = 0;       // in blocks and the final norm, and the tokens
  int64_t logits = 0;     // and their gradient, made in one pass
  int64_t gradients = 0;  // of activations, beyond the room that the logits leave
};

Activations activations(const Config& config, DType type) {
  const GptConfig& model = config.model;
  const int64_t tokens = config.train.batch / config.train.accumulate * model.context;
  const int64_t value = size_of(type), statistic = size_of(accumulator_of(type));
  const int64_t width = model.width * value;
  const int64_t inputs = (model.norm == Norm::pre ? 2 : 1) * width;
  // Of the 16 C, what each half of a block keeps.
  const int64_t attention = 6 * width + (2 + model.heads) * statistic;
  const int64_t feed_forward = 10 * width + 2 * statistic;
  int64_t block = attention + feed_forward, again = 0;  // again: while a block goes back
  if (model.recompute == Recompute::mlp) {
    block = attention + width;  // the half's other input is kept already
    again = feed_forward - width;
  } else if (model.recompute == Recompute::block) {
    block = inputs;
    again = attention + feed_forward - inputs;
  }
  const int64_t blocks = tokens * model.layers * block;
  const int64_t end = tokens * (model.norm == Norm::pre ? 2 * width + 2 * statistic : width);
  Activations result;
  result.kept = blocks + end + 2 * tokens * token_bytes;
  result.logits = 2 * tokens * model.vocabulary * value;
  // Going back through the last block's hidden layer, when logits and final norm are gone: the
  // gradients of the stream (C), of the hidden layer after (4 C) and before (4 C) its activation
  // and of its input (C), while the hidden layer itself (4 C) is gone too.
  const int64_t in_hidden_layer = tokens * (6 * width + again);
  result.gradients = std::max<int64_t>(0, in_hidden_layer - end - result.logits);
  return result;
}

int64_t moments_of(OptimizerKind kind) { return kind == OptimizerKind::sgd ? 1 : 2; }

}  // namespace

int64_t Plan::memory_bytes() const {
  int64_t sum = 0;
  for (const PlanLine& line : memory) sum += line.bytes;
  return sum;
}

Plan make_plan(const Config& config) {
  FOLIO_CHECK(config.train.accumulate >= 1 && config.train.batch % config.train.accumulate == 0,
              "train.accumulate", "{} micro-batches do not divide train.batch, {}",
              config.train.accumulate, config.train.batch);
  ParameterStore store;  // never initialized: it has names and shapes, and no memory
  const Gpt model(Scope(store), config.model);
  Plan plan;
  for (const Parameter& parameter : store.parameters()) {
    const std::string name = without_number(parameter.name);
    const auto row = std::ranges::find(plan.table, name, &PlanParameter::name);
    if (row != plan.table.end()) {
      ++row->copies;
    } else {
      plan.table.push_back({name, parameter.shape, 1});
    }
  }
  plan.parameters = store.numel();
  plan.decayed_parameters = store.decayed_numel();
  plan.tokens_per_step = config.train.batch * config.model.context;
  plan.flops_per_token = flops_per_token(config.model);
  const Device device = computing_device(config.train.device);
  const DType type = computing_type(config.train.precision, multiplies_bf16(device));
  const int64_t master = size_of(accumulator_of(type));
  const int64_t copy = type == accumulator_of(type) ? 0 : size_of(type);
  const bool on_cpu = device == Device::cpu;
  plan.memory = {{"weights", plan.parameters * (on_cpu ? master + copy : master)}};
  if (!on_cpu && copy > 0) plan.memory.push_back({"their bf16 copy", plan.parameters * copy});
  plan.memory.push_back({"gradients", plan.parameters * master});
  if (config.train.reduce == Reduce::ordered && config.train.accumulate > 1) {
    // Beside those of a micro-batch; of several ranks each holds its part.
    plan.memory.push_back({"their sums over micro-batches", plan.parameters * master});
  }
  plan.memory.push_back(
      {"optimizer moments", moments_of(config.optimizer.kind) * plan.parameters * master});
  if (on_cpu) {
    const Activations live = activations(config, type);
    plan.memory.push_back({"activations kept for the backward pass", live.kept});
    plan.memory.push_back({"logits and their gradient", live.logits});
    plan.memory.push_back({"gradients of activations", live.gradients});
  } else {
    std::ranges::copy(gpu_memory(config, type), std::back_inserter(plan.memory));
    plan.memory_note =
        "besides what CUDA and its libraries take for themselves: not known before\n";
  }
  return plan;
}

}  // namespace folio
