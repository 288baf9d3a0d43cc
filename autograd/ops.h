// The differentiable operations. Shapes in comments: B samples, T positions, C columns (channels),
// V classes. Unless stated otherwise, tensors are bf16, f32 or f64 and have the same type, and an
// op throws Error, with its name and the shapes found and expected, if they do not match.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "folio/autograd/tape.h"
#include "folio/autograd/variable.h"

namespace folio {

// --- elementwise (ops/elementwise.cpp)
/// a and b have the same shape, or one of them is a vector of the length of the other's last
/// dimension or has one element. The gradient of a broadcast operand is summed.
Variable add(Tape& tape, const Variable& a, const Variable& b);
Variable subtract(Tape& tape, const Variable& a, const Variable& b);
Variable multiply(Tape& tape, const Variable& a, const Variable& b);
Variable divide(Tape& tape, const Variable& a, const Variable& b);
/// x times a number.
Variable multiply(Tape& tape, const Variable& x, double factor);

Variable exp(Tape& tape, const Variable& x);
Variable log(Tape& tape, const Variable& x);
Variable sqrt(Tape& tape, const Variable& x);
Variable tanh(Tape& tape, const Variable& x);
/// 1 / (1 + exp(-x)).
Variable sigmoid(Tape& tape, const Variable& x);
/// max(x, 0); the gradient at 0 is 0.
Variable relu(Tape& tape, const Variable& x);
/// x Phi(x), where Phi is the normal distribution function (Hendrycks and Gimpel 2016, section 2).
Variable gelu(Tape& tape, const Variable& x);
/// GPT-2's form: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
Variable gelu_tanh(Tape& tape, const Variable& x);
/// Zeroes each element with `probability` and scales the others by 1 / (1 - probability), while
/// the tape is training. The first dimension of x must count samples: the mask of a sample is then
/// the same in every division into micro-batches. `site` names the place (Scope::site); two calls
/// with one site in one step, as over the time of a recurrent network, draw the same mask.
Variable dropout(Tape& tape, const Variable& x, double probability, uint32_t site);

// --- reductions (ops/reduce.cpp)
/// Sum and mean of all elements; the result is a scalar ().
Variable sum(Tape& tape, const Variable& x);
Variable mean(Tape& tape, const Variable& x);
/// Sum and mean over the last axis: (..., C) to (...).
Variable sum_last(Tape& tape, const Variable& x);
Variable mean_last(Tape& tape, const Variable& x);
/// Softmax over the last axis, and its logarithm.
Variable softmax(Tape& tape, const Variable& x);
Variable log_softmax(Tape& tape, const Variable& x);

// --- movement (ops/movement.cpp)
/// Axis i of the result is axis axes[i] of x. Copies.
Variable permute(Tape& tape, const Variable& x, std::initializer_list<int> axes);
/// Exchanges two axes; negative ones count from the end. Copies.
Variable transpose(Tape& tape, const Variable& x, int first = -2, int second = -1);
/// The same elements in another shape, without a copy.
Variable reshape(Tape& tape, const Variable& x, const Shape& shape);
/// Indices [start, start + length) of an axis.
Variable slice(Tape& tape, const Variable& x, int axis, int64_t start, int64_t length);
/// Concatenates along an axis; the other dimensions are equal.
Variable concat(Tape& tape, const std::vector<Variable>& parts, int axis);
/// table (V, C), indices i32 of shape S: rows of the table, of shape S + (C). Throws Error for an
/// index outside [0, V).
Variable gather_rows(Tape& tape, const Variable& table, const Tensor& indices);

// --- matrix products (ops/matmul.cpp)
/// a (..., M, K) times b (..., K, N), of which each may be transposed in its last two axes first.
/// The leading dimensions are equal, or b has none and is used for every a (then a is not
/// transposed).
Variable matmul(Tape& tape, const Variable& a, const Variable& b, bool transpose_a = false,
                bool transpose_b = false);

enum class Activation : uint8_t { none, relu, gelu, gelu_tanh };

/// activation(x weight^T + bias): x (..., I), weight (O, I), bias (O) or none; result (..., O).
Variable linear(Tape& tape, const Variable& x, const Variable& weight,
                const std::optional<Variable>& bias = std::nullopt,
                Activation activation = Activation::none);

// --- fused (ops/embedding.cpp, ops/layer_norm.cpp, ops/attention.cpp, ops/cross_entropy.cpp)
// Indices, tokens and targets may be on the CPU or on the tape's device. Only those on the CPU are
// checked, before they are copied.

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
/// k and v (B, Tk, C). Head h has columns [h d, (h + 1) d), where d = C / heads. The result is 0
/// for a query that sees no key.
Variable attention(Tape& tape, const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& options);
/// The same with k and v side by side in one tensor (B, Tk, 2 C).
Variable attention(Tape& tape, const Variable& q, const Variable& keys_values,
                   const AttentionOptions& options);
/// The same with q, k and v side by side in one tensor (B, T, 3 C).
Variable attention(Tape& tape, const Variable& qkv, const AttentionOptions& options);
/// Causal attention for generating text: the positions of qkv (B, T, 3 C) follow `length` earlier
/// positions, whose keys and values are side by side in cache (B, at least length + T, 2 C); those
/// of the new positions are added to it. Result (B, T, C). There is no backward pass: throws Error
/// while the tape records.
Variable cached_attention(Tape& tape, const Variable& qkv, const Tensor& cache, int64_t length,
                          int64_t heads);

struct LossOptions {
  double label_smoothing = 0.0;  // epsilon (Szegedy et al. 2016, section 7)
  int32_t ignored_index = -1;    // targets of this value do not count
  int64_t valid_targets = 0;     // divisor of the sum; 0: the number of targets not ignored
};
/// The mean of -log softmax(logits)[target], one element (f32 if logits are bf16). logits (..., V),
/// targets i32 (...). With label smoothing epsilon, the target distribution is (1 - epsilon) onehot
/// + epsilon / V.
Variable cross_entropy(Tape& tape, const Variable& logits, const Tensor& targets,
                       const LossOptions& options = {});
/// The same for logits that are not needed afterwards: their gradient takes their memory, unless
/// another tensor shares it.
Variable cross_entropy(Tape& tape, Variable&& logits, const Tensor& targets,
                       const LossOptions& options = {});

}  // namespace folio
