// The contract of the kernels: one table of plain functions a device. Kernels own arithmetic
// only. Their callers (autograd/ops) have checked shapes and types and allocated every output.
//
// Conventions, for every entry:
// - tensors are contiguous, of one floating type (bf16, f32 or f64) unless a comment says i32;
// - where they are bf16, arithmetic is in f32 and each result is rounded once, to nearest even; a
//   GradTarget may then be f32 (a parameter's gradient), and what is said to be an accumulator
//   always is;
// - "rows" are all dimensions but the last, "columns" is the last;
// - a GradTarget is overwritten or added to as it says; an empty one is left out;
// - the result does not depend on the number of threads: reductions run in a fixed order.
#pragma once

#include <array>
#include <cstdint>

#include "folio/tensor/device.h"
#include "folio/tensor/random.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// gelu: x Phi(x), exact; gelu_tanh: its tanh form (Hendrycks and Gimpel 2016, arXiv:1606.08415).
enum class UnaryOp : uint8_t { exp, log, sqrt, tanh, sigmoid, relu, gelu, gelu_tanh };

enum class BinaryOp : uint8_t { add, subtract, multiply, divide };

/// Columns [first, first + heads * head_dim) of the rows of a (B, T, W) tensor: queries, keys or
/// values, alone or packed. Of keys and values T may be more than counts: later rows are not read.
struct HeadColumns {
  const Tensor* tensor = nullptr;
  int64_t first = 0;
};

/// Where the gradient of HeadColumns goes; the tensor's other columns are left alone.
struct HeadColumnsGrad {
  GradTarget target;
  int64_t first = 0;
};

struct AttentionShape {
  int64_t batch = 0, heads = 0, queries = 0, keys = 0, head_dim = 0;
  bool causal = false;  // query i sees keys 0 .. i + keys - queries
  double scale = 1.0;   // of the scores, usually 1 / sqrt(head_dim)
  DropoutMask dropout;  // over the probabilities, counted as (batch, heads, queries, keys)
};

struct CrossEntropyOptions {
  double label_smoothing = 0.0;  // epsilon: (1 - epsilon) nll + epsilon mean over classes of -log p
  int32_t ignored_index = -1;    // targets with this value give neither loss nor gradient
  double scale = 1.0;            // of loss and gradient, usually 1 / valid targets
};

struct AdamOptions {
  double lr = 0.0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
  bool decoupled = true;  // AdamW (Loshchilov and Hutter 2019); else decay is added to the gradient
  int64_t step = 1;       // counted from 1, for the bias corrections
};

struct SgdOptions {
  double lr = 0.0, momentum = 0.0, weight_decay = 0.0;
  int64_t step = 1;  // counted from 1: the first step's momentum is the gradient itself
};

/// Elements whose squares gradient_norm sums up first.
inline constexpr int64_t norm_piece = 16 * 1024;

/// The factor that brings gradients of Euclidean norm `norm` to at most max_norm (0: leaves all
/// be). A norm that is not a number does not pass as a small one.
inline double clip_scale(double norm, double max_norm) {
  return max_norm == 0.0 || norm <= max_norm ? 1.0 : max_norm / norm;
}

struct Kernels {
  // --- memory ---------------------------------------------------------------------------------
  /// Every element of y (any type) becomes value.
  void (*fill)(const Tensor& y, double value);
  /// y = x or y += x, elementwise, of equal numel. Overwritten, y may also be bf16 where x is f32.
  void (*copy)(GradTarget y, const Tensor& x);
  /// y = factor * x or y += factor * x; factor is a tensor of one element, an accumulator.
  /// y may be x.
  void (*scale)(GradTarget y, const Tensor& x, const Tensor& factor);

  // --- elementwise ----------------------------------------------------------------------------
  void (*unary_forward)(UnaryOp op, const Tensor& y, const Tensor& x);
  /// dx = dy f'(x). May work in place (dx the same memory as dy, or as x).
  void (*unary_backward)(UnaryOp op, GradTarget dx, const Tensor& x, const Tensor& y,
                         const Tensor& dy);
  /// y = a op b. a and b each have y's shape, or y's last dimension as their only one, or one
  /// element.
  void (*binary_forward)(BinaryOp op, const Tensor& y, const Tensor& a, const Tensor& b);
  /// Gradients of a and b, summed where they were broadcast. da is finished before db is begun,
  /// so both may name the same tensor.
  void (*binary_backward)(BinaryOp op, GradTarget da, GradTarget db, const Tensor& a,
                          const Tensor& b, const Tensor& dy);
  /// y = x where kept, times 1 / (1 - p). As its own backward: dx = dy where kept, scaled.
  void (*dropout)(GradTarget y, const Tensor& x, const DropoutMask& mask);

  // --- reductions and rows --------------------------------------------------------------------
  /// y = factor * sum of x: over everything if y has one element, else over the last axis.
  void (*sum_forward)(const Tensor& y, const Tensor& x, double factor);
  void (*sum_backward)(GradTarget dx, const Tensor& dy, double factor);
  /// dy (..., columns) summed over all rows: y (columns). The gradient of a bias.
  void (*sum_rows)(GradTarget y, const Tensor& x);
  /// x (N, ...) summed over its first dimension: y has N times fewer elements.
  void (*sum_first)(GradTarget y, const Tensor& x);
  /// Over the last axis; logarithm: log-softmax.
  void (*softmax_forward)(const Tensor& y, const Tensor& x, bool logarithm);
  void (*softmax_backward)(GradTarget dx, const Tensor& y, const Tensor& dy, bool logarithm);

  // --- movement -------------------------------------------------------------------------------
  /// Axis i of y is axis axes[i] of x (rank of x entries are used).
  void (*permute)(GradTarget y, const Tensor& x, const std::array<int, 4>& axes);
  /// Indices [x_start, x_start + length) of x along axis go to [y_start, ...) of y; the rest of y
  /// is left alone. x and y agree in every other dimension. x and y of any type (i32: no
  /// accumulation).
  void (*copy_range)(GradTarget y, int64_t y_start, const Tensor& x, int64_t x_start,
                     int64_t length, int axis);
  /// y row i = table row indices[i]; table (V, C), indices i32 of any shape, checked by the caller.
  void (*gather_rows)(const Tensor& y, const Tensor& table, const Tensor& indices);
  /// dtable row indices[i] += dy row i, in the order of i (dtable is zeroed first if overwritten).
  /// In a bf16 dtable each addition rounds.
  void (*scatter_add_rows)(GradTarget dtable, const Tensor& indices, const Tensor& dy);
  /// y (B, T, C) = table row tokens[b, t] + positions row t; tokens i32 (B, T), positions (>= T,
  /// C).
  void (*embedding_forward)(const Tensor& y, const Tensor& tokens, const Tensor& table,
                            const Tensor& positions);

  // --- matrix products ------------------------------------------------------------------------
  /// c = op(a) op(b), or c += it: a (..., M, K), b (..., K, N) after transposition of the last two
  /// axes where asked; leading dimensions are equal, or b has none and serves every a, or c has
  /// none and the leading dimensions are summed over (as further rows of the inner dimension;
  /// then transpose_a is set and transpose_b is not).
  void (*matmul)(GradTarget c, const Tensor& a, bool transpose_a, const Tensor& b,
                 bool transpose_b);
  /// z = x weight^T + bias; y = activation(z). x (..., I), weight (O, I), bias (O) or empty.
  /// Without activation (null) z is y. With one, z (the same shape) is kept for the backward pass
  /// unless it is empty. In bf16 the product is rounded before bias and activation, and again
  /// after; where the GPU's library adds and activates, only after.
  void (*linear_forward)(const Tensor& y, const Tensor& z, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, const UnaryOp* activation);

  // --- fused ----------------------------------------------------------------------------------
  /// y = (x - mean) rstd gain + bias, over the last axis, rstd = 1 / sqrt(variance + eps). bias
  /// may be empty. mean and rstd: one element a row, outputs, accumulators.
  void (*layer_norm_forward)(const Tensor& y, const Tensor& mean, const Tensor& rstd,
                             const Tensor& x, const Tensor& gain, const Tensor& bias, double eps);
  /// sum = residual + dropout(x); y = layer norm of sum, as above.
  void (*add_dropout_layer_norm_forward)(const Tensor& sum, const Tensor& y, const Tensor& mean,
                                         const Tensor& rstd, const Tensor& residual,
                                         const Tensor& x, const Tensor& gain, const Tensor& bias,
                                         double eps, const DropoutMask& mask);
  void (*layer_norm_backward)(GradTarget dx, GradTarget dgain, GradTarget dbias, const Tensor& x,
                              const Tensor& mean, const Tensor& rstd, const Tensor& gain,
                              const Tensor& dy);
  /// y (B, Tq, heads * head_dim) = dropout(softmax(scale q k^T + mask)) v, head by head.
  /// key_mask: empty, or i32 (B, Tk), 0 where a key must not be seen. log_sum (B, heads, Tq):
  /// output, an accumulator, the logarithm of each row's sum of exponentials (0 and y = 0 where a
  /// query sees nothing).
  void (*attention_forward)(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                            HeadColumns v, const Tensor& key_mask, const AttentionShape& shape);
  void (*attention_backward)(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv,
                             HeadColumns q, HeadColumns k, HeadColumns v, const Tensor& key_mask,
                             const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                             const AttentionShape& shape);
  /// loss (one element, an accumulator) = scale * sum over rows; dlogits (as logits, may be empty)
  /// its gradient; logits (..., V); targets i32, one a row. Each row is read once while it is in
  /// cache; dlogits may be logits.
  void (*cross_entropy)(const Tensor& loss, const Tensor& dlogits, const Tensor& logits,
                        const Tensor& targets, const CrossEntropyOptions& options);

  // --- optimizer, over slabs, all f32 or all f64 ----------------------------------------------
  /// sums[i] (f64) = the sum of squares of elements [i, i + 1) norm_piece of gradients; one for
  /// each piece, the last may be short. Their sum, in order, is the square of gradient_norm's norm.
  void (*sum_squares)(const Tensor& sums, const Tensor& gradients);
  /// norm_and_scale (2): the Euclidean norm of gradients, and the factor min(1, max_norm / norm)
  /// (1 if max_norm is 0) that brings it to max_norm.
  void (*gradient_norm)(const Tensor& norm_and_scale, const Tensor& gradients, double max_norm);
  /// One Adam step (Kingma and Ba 2015, algorithm 1) with gradient * norm_and_scale[1]. copy: bf16,
  /// receives the new values in the same pass, or empty.
  void (*adam)(const Tensor& values, const Tensor& copy, const Tensor& first_moment,
               const Tensor& second_moment, const Tensor& gradients, const Tensor& norm_and_scale,
               const AdamOptions& options);
  /// velocity = momentum velocity + g; values -= lr velocity, g as above plus decay; copy as above.
  /// velocity may be empty where momentum is 0.
  void (*sgd)(const Tensor& values, const Tensor& copy, const Tensor& velocity,
              const Tensor& gradients, const Tensor& norm_and_scale, const SgdOptions& options);
};

/// The device's table. Throws Error for a bad FOLIO_ISA, see instruction_set(), and where there is
/// no such device.
const Kernels& kernels_for(Device device);

/// Whether the device itself multiplies bf16 (a CPU: with avx512_bf16 or amx_bf16, and oneDNN;
/// a GPU: of compute capability 8.0 or more).
/// Elsewhere bf16 products go through f32: as right, and slower than f32 alone.
bool multiplies_bf16(Device device);

/// Whether a GPU's products of f32 matrices may round what they multiply to TF32, 10 bits behind
/// the leading one: far quicker from compute capability 8.0 on, and no longer f32. Off until set.
void set_tf32(bool on);
bool tf32();

}  // namespace folio
