#include "folio/autograd/observer.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"

namespace folio {
namespace {

/// Writes down what it is shown.
struct Diary : TapeObserver {
  std::vector<std::string> lines;

  void after_forward(const char* op, std::span<const Variable> inputs,
                     std::span<const Variable> outputs) override {
    lines.push_back(fmt::format("{}:{} ->{}", op, shapes(inputs), shapes(outputs)));
  }
  void before_backward(const char* op, std::span<GradSlot* const>) override {
    lines.push_back(fmt::format("before {}", op));
  }
  void after_backward(const char* op, std::span<GradSlot* const> outputs,
                      std::span<GradSlot* const> written) override {
    std::string line = fmt::format("after {}:", op);
    for (const GradSlot* slot : outputs) {
      if (slot != nullptr) line.append(slot->grad ? " alive" : " gone");
    }
    line.append(" wrote");
    for (const GradSlot* slot : written) line.append(" ").append(slot->grad.shape().to_string());
    lines.push_back(line);
  }

  static std::string shapes(std::span<const Variable> variables) {
    std::string all;
    for (const Variable& x : variables) all.append(" ").append(x.shape().to_string());
    return all;
  }
};

TEST(TapeObserver, SeesInputsOutputsAndGradients) {
  Tape tape;
  Diary diary;
  const Variable x = tape.leaf(Tensor::from<double>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const Variable gain = tape.leaf(Tensor::from<double>({3}, {1, 1, 1}));
  const Variable constant{Tensor::from<double>({2, 1}, {1, 2})};
  tape.set_observer(&diary);
  const NormalizedSum norm = residual_dropout_layer_norm(tape, x, x, 0.0, 1, gain, std::nullopt);
  const Variable joined = concat(tape, {norm.normalized, constant}, 1);
  tape.backward(sum(tape, reshape(tape, joined, {8})));
  EXPECT_THAT(diary.lines,
              testing::ElementsAre(
                  "residual_dropout_layer_norm: (2, 3) (2, 3) (3) -> (2, 3) (2, 3)",
                  "concat: (2, 3) (2, 1) -> (2, 4)", "reshape: (2, 4) -> (8)", "sum: (8) -> ()",
                  "before sum", "after sum: alive wrote (8)", "before reshape",
                  "after reshape: alive wrote (2, 4)", "before concat",
                  "after concat: alive wrote (2, 3)", "before residual_dropout_layer_norm",
                  "after residual_dropout_layer_norm: alive alive wrote (2, 3) (3) (2, 3) (2, 3)"));
}

TEST(TapeObserver, SeesOpsThatAreNotRecorded) {
  Tape tape;
  Diary diary;
  tape.set_observer(&diary);
  const NoRecording pause(tape);
  exp(tape, tape.leaf(Tensor::from<double>({2}, {1, 2})));
  reshape(tape, {Tensor::from<double>({2}, {1, 2})}, {2, 1});
  tape.set_observer(nullptr);
  exp(tape, tape.leaf(Tensor::from<double>({2}, {1, 2})));
  EXPECT_THAT(diary.lines, testing::ElementsAre("exp: (2) -> (2)", "reshape: (2) -> (2, 1)"));
}

/// Computes each attention again from what the op says of itself: the probabilities, and from the
/// values that the test knows the result.
struct AttentionWatch : TapeObserver {
  struct Seen {
    int64_t heads, head_dim, first_query_column, first_key_column;
    bool causal;
    double scale;
    Tensor queries, keys, key_mask;
  };
  std::vector<Seen> seen;
  std::vector<std::string> order;

  void attention(const ObservedAttention& op) override {
    seen.push_back({op.heads, op.head_dim, op.first_query_column, op.first_key_column, op.causal,
                    op.scale, op.queries, op.keys, op.key_mask});
    order.push_back("attention()");
  }
  void after_forward(const char* op, std::span<const Variable>,
                     std::span<const Variable>) override {
    order.push_back(op);
  }
};

/// softmax(scale q k^T) v in plain doubles, with the columns and the mask that were reported. A
/// query that sees no key gives 0.
std::vector<double> by_hand(const AttentionWatch::Seen& op, const Tensor& values,
                            int64_t first_value_column) {
  const int64_t batch = op.queries.dim(0), queries = op.queries.dim(1), keys = op.keys.dim(1);
  const std::vector<double> q = values_of(op.queries), k = values_of(op.keys),
                            v = values_of(values);
  std::vector<double> y;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t h = 0; h < op.heads; ++h) {
        std::vector<double> weights(static_cast<size_t>(keys), 0.0);
        double sum = 0.0;
        for (int64_t j = 0; j < keys; ++j) {
          if (op.causal && j > i + keys - queries) continue;
          if (op.key_mask && op.key_mask.data<int32_t>()[b * keys + j] == 0) continue;
          double score = 0.0;
          for (int64_t d = 0; d < op.head_dim; ++d) {
            const int64_t column = h * op.head_dim + d;
            score += q[(b * queries + i) * op.queries.dim(2) + op.first_query_column + column] *
                     k[(b * keys + j) * op.keys.dim(2) + op.first_key_column + column];
          }
          sum += weights[j] = std::exp(score * op.scale);
        }
        for (int64_t d = 0; d < op.head_dim; ++d) {
          double total = 0.0;
          for (int64_t j = 0; j < keys; ++j) {
            total += weights[j] *
                     v[(b * keys + j) * values.dim(2) + first_value_column + h * op.head_dim + d];
          }
          y.push_back(sum > 0.0 ? total / sum : 0.0);
        }
      }
    }
  }
  return y;
}

TEST(TapeObserver, AttentionReportsWhatItComputesWith) {
  constexpr int64_t heads = 2, columns = 6;
  const Tensor mask = Tensor::from<int32_t>({2, 5}, {1, 1, 1, 0, 0, 1, 0, 1, 1, 1});
  const Tensor q = random_tensor({2, 3, columns}, 1), k = random_tensor({2, 5, columns}, 2),
               v = random_tensor({2, 5, columns}, 3), kv = random_tensor({2, 5, 2 * columns}, 4),
               qkv = random_tensor({2, 5, 3 * columns}, 5);
  for (const bool causal : {false, true}) {
    for (const std::optional<Tensor>& key_mask :
         {std::optional<Tensor>(), std::optional<Tensor>(mask)}) {
      SCOPED_TRACE(fmt::format("causal {} mask {}", causal, key_mask.has_value()));
      const AttentionOptions options{.heads = heads, .causal = causal, .key_mask = key_mask};
      Tape tape;
      AttentionWatch watch;
      tape.set_observer(&watch);
      const Variable separate = attention(tape, {q}, {k}, {v}, options);
      const Variable cross = attention(tape, {q}, {kv}, options);
      const Variable self = attention(tape, {qkv}, options);
      ASSERT_EQ(watch.seen.size(), 3u);
      EXPECT_THAT(watch.order, testing::ElementsAre("attention()", "attention", "attention()",
                                                    "attention", "attention()", "attention"));
      for (const AttentionWatch::Seen& op : watch.seen) {
        EXPECT_EQ(op.causal, causal);
        EXPECT_EQ(op.heads, heads);
        EXPECT_EQ(op.head_dim, columns / heads);
        EXPECT_EQ(static_cast<bool>(op.key_mask), key_mask.has_value());
      }
      expect_close(values_of(separate.value), by_hand(watch.seen[0], v, 0), 1e-13, "separate");
      expect_close(values_of(cross.value), by_hand(watch.seen[1], kv, columns), 1e-13, "cross");
      expect_close(values_of(self.value), by_hand(watch.seen[2], qkv, 2 * columns), 1e-13, "self");
    }
  }
}

TEST(TapeObserver, MethodsThatAreNotOverriddenDoNothing) {
  Tape tape;
  TapeObserver observer;
  tape.set_observer(&observer);
  const Variable x = tape.leaf(random_tensor({1, 2, 6}, 1));
  tape.backward(sum(tape, attention(tape, x, {.heads = 1})));
  Tape alone;
  const Variable same = alone.leaf(random_tensor({1, 2, 6}, 1));
  alone.backward(sum(alone, attention(alone, same, {.heads = 1})));
  EXPECT_EQ(values_of(tape.gradient(x)), values_of(alone.gradient(same)));
}

}  // namespace
}  // namespace folio
