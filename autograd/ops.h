// Every differentiable operation, once. Shapes in comments: B samples, T positions, C columns
// (channels), V classes. Unless said otherwise tensors are bf16, f32 or f64, all of one type, and
// every op throws Error, naming itself and the shapes seen and wanted, when they do not fit.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "folio/autograd/tape.h"
#include "folio/autograd/variable.h"

namespace folio {

// --- elementwise (ops/elementwise.cpp)
// ------------------------------------------------------------ a and b have one shape, or one of
// them is a vector as long as the other's last dimension, or has one element. The gradient of what
// was broadcast is summed.
Variable add(Tape& tape, const Variable& a, const Variable& b);
Variable subtract(Tape& tape, const Variable& a, const Variable& b);
Variable multiply(Tape& tape, const Variable& a, const Variable& b);
Variable divide(Tape& tape, const Variable& a, const Variable& b);
/// x times a plain number.
Variable multiply(Tape& tape, const Variable& x, double factor);

Variable exp(Tape& tape, const Variable& x);
Variable log(Tape& tape, const Variable& x);
Variable sqrt(Tape& tape, const Variable& x);
Variable tanh(Tape& tape, const Variable& x);
/// 1 / (1 + exp(-x)).
Variable sigmoid(Tape& tape, const Variable& x);
/// max(x, 0); the gradient at 0 is 0.
Variable relu(Tape& tape, const Variable& x);
/// x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel 2016, section 2).
Variable gelu(Tape& tape, const Variable& x);
/// GPT-2's form: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
Variable gelu_tanh(Tape& tape, const Variable& x);
/// Zeroes each element with `probability` and scales the others by 1 / (1 - probability), while
/// the tape is training. The first dimension of x must count samples: the mask of a sample is then
/// the same in every division into micro-batches. `site` names the place (Scope::site); two calls
/// with one site in one step, as over the time of a recurrent network, draw the same mask.
Variable dropout(Tape& tape, const Variable& x, double probability, uint32_t site);

// --- reductions (ops/reduce.cpp)
// ------------------------------------------------------------------
/// Over all elements; the result is a scalar ().
Variable sum(Tape& tape, const Variable& x);
Variable mean(Tape& tape, const Variable& x);
/// Over the last axis: (..., C) to (...).
Variable sum_last(Tape& tape, const Variable& x);
Variable mean_last(Tape& tape, const Variable& x);
/// Over the last axis.
Variable softmax(Tape& tape, const Variable& x);
Variable log_softmax(Tape& tape, const Variable& x);

// --- movement (ops/movement.cpp)
// ------------------------------------------------------------------
/// Axis i of the result is axis axes[i] of x, by copy.
Variable permute(Tape& tape, const Variable& x, std::initializer_list<int> axes);
/// Two axes exchanged, by copy; negative axes count from the end.
Variable transpose(Tape& tape, const Variable& x, int first = -2, int second = -1);
/// The same elements in another shape; no copy.
Variable reshape(Tape& tape, const Variable& x, const Shape& shape);
/// Indices [start, start + length) of an axis.
Variable slice(Tape& tape, const Variable& x, int axis, int64_t start, int64_t length);
/// One after the other along an axis; the other dimensions agree.
Variable concat(Tape& tape, const std::vector<Variable>& parts, int axis);
/// table (V, C), indices i32 of shape S: rows of the table, of shape S + (C). Throws Error for an
/// index outside [0, V).
Variable gather_rows(Tape& tape, const Variable& table, const Tensor& indices);

// --- matrix products (ops/matmul.cpp)
// -------------------------------------------------------------
/// a (..., M, K) times b (..., K, N), either with its last two axes exchanged first. The leading
/// dimensions agree, or b has none and serves every a (which then is not transposed).
Variable matmul(Tape& tape, const Variable& a, const Variable& b, bool transpose_a = false,
                bool transpose_b = false);

enum class Activation : uint8_t { none, relu, gelu, gelu_tanh };

/// activation(x weight^T + bias): x (..., I), weight (O, I), bias (O) or none; result (..., O).
Variable linear(Tape& tape, const Variable& x, const Variable& weight,
                const std::optional<Variable>& bias = std::nullopt,
                Activation activation = Activation::none);

// --- fused (ops/embedding.cpp, ops/layer_norm.cpp, ops/attention.cpp, ops/cross_entropy.cpp)
// ------
/// Indices, tokens and targets of all ops may lie on the CPU, whatever the tape's device: there
/// they are checked, and then copied. Those on a GPU are taken on trust.
///
/// table[tokens] + positions[0..T): tokens i32 (B, T), table (V, C), positions (at least T, C);
/// result (B, T, C). Throws Error for a token outside [0, V).
Variable embedding(Tape& tape, const Tensor& tokens, const Variable& table,
                   const Variable& positions);

/// (x - mean) / sqrt(variance + eps) * gain + bias over the last axis (Ba, Kiros, Hinton 2016);
/// gain (C), bias (C) or none.
Variable layer_norm(Tape& tape, const Variable& x, const Variable& gain,
                    const std::optional<Variable>& bias = std::nullopt, double eps = 1e-5);

struct NormalizedSum {
  Variable sum, normalized;
};
/// sum = residual + dropout(x), normalized = layer_norm(sum), in one pass over memory.
NormalizedSum residual_dropout_layer_norm(Tape& tape, const Variable& residual, const Variable& x,
                                          double probability, uint32_t site, const Variable& gain,
                                          const std::optional<Variable>& bias = std::nullopt,
                                          double eps = 1e-5);

struct AttentionOptions {
  int64_t heads = 1;
  bool causal = false;                  // query i sees keys 0 .. i + Tk - Tq
  double dropout = 0.0;                 // of the probabilities, while training
  uint32_t site = 0;                    // names the place of the dropout
  std::optional<Tensor> key_mask = {};  // i32 (B, Tk), 0 where a key is padding and not to be seen
};
/// softmax(q k^T / sqrt(d)) v, head by head (Vaswani et al. 2017, equation 1): q (B, Tq, C),
/// k and v (B, Tk, C), head h having columns [h d, (h + 1) d), d = C / heads. A query that sees no
/// key gives 0.
Variable attention(Tape& tape, const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& options);
/// The same with k and v side by side in one tensor (B, Tk, 2 C).
Variable attention(Tape& tape, const Variable& q, const Variable& keys_values,
                   const AttentionOptions& options);
/// The same with q, k and v side by side in one tensor (B, T, 3 C).
Variable attention(Tape& tape, const Variable& qkv, const AttentionOptions& options);
/// Causal attention of new positions to all so far, for generating text: qkv (B, T, 3 C) follow
/// `length` positions, whose keys and values lie side by side in cache (B, at least length + T,
/// 2 C); those of the new ones are added there. Result (B, T, C). There is no backward: throws
/// Error while the tape records.
Variable cached_attention(Tape& tape, const Variable& qkv, const Tensor& cache, int64_t length,
                          int64_t heads);

struct LossOptions {
  double label_smoothing = 0.0;  // epsilon (Szegedy et al. 2016, section 7)
  int32_t ignored_index = -1;    // targets of this value do not count
  int64_t valid_targets = 0;     // what the sum is divided by; 0: the number not ignored
};
/// Mean of -log softmax(logits)[target], one element (f32 where logits are bf16): logits (..., V),
/// targets i32 (...). With smoothing epsilon the target distribution is (1 - epsilon) onehot +
/// epsilon / V.
Variable cross_entropy(Tape& tape, const Variable& logits, const Tensor& targets,
                       const LossOptions& options = {});
/// The same for logits that nobody else needs: their memory becomes that of their gradient, where
/// no other tensor shares it.
Variable cross_entropy(Tape& tape, Variable&& logits, const Tensor& targets,
                       const LossOptions& options = {});

}  // namespace folio
