// The list of all kernels: FOLIO_KERNEL(name, parameters...) for each, with its documentation.
//
// C++20 cannot iterate over the members of a struct or over the functions of a namespace, so the
// list is a macro, which every includer defines before it includes this file, and which this file
// undefines at its end. The table's type, the functions of both devices, the tables and code that
// wraps a table (see kernels.h and device_kernels.h) come from this one list. A new kernel is an
// entry here and a function in kernels/cpu/ and kernels/cuda/. There is no include guard.
//
// Conventions:
// - Tensors are contiguous and have one floating type (bf16, f32 or f64) unless stated otherwise.
// - For bf16, arithmetic is done in f32 and each result is rounded once, to nearest even. A
//   GradTarget may then be f32 (a parameter's gradient). Tensors described as accumulators have the
//   type accumulator_of(dtype), so they are f32.
// - "Columns" is the last dimension, "rows" are all the others.
// - A GradTarget is overwritten or added to as it says, and skipped if it is empty.
// - Results do not depend on the number of threads: reductions use a fixed order.

// --- memory -------------------------------------------------------------------------------------

/// Sets every element of y (any type) to value.
FOLIO_KERNEL(fill, const Tensor& y, double value)
/// y = x or y += x, elementwise; x and y have the same number of elements. If y is overwritten, it
/// may be bf16 while x is f32.
FOLIO_KERNEL(copy, GradTarget y, const Tensor& x)
/// y = factor * x or y += factor * x. factor has one element and is an accumulator. y may be x.
FOLIO_KERNEL(scale, GradTarget y, const Tensor& x, const Tensor& factor)

// --- elementwise --------------------------------------------------------------------------------

/// y = op(x).
FOLIO_KERNEL(unary_forward, UnaryOp op, const Tensor& y, const Tensor& x)
/// dx = dy op'(x). May work in place: dx may have the memory of dy or of x.
FOLIO_KERNEL(unary_backward, UnaryOp op, GradTarget dx, const Tensor& x, const Tensor& y,
             const Tensor& dy)
/// y = a op b. a and b each have the shape of y, or only the last dimension of y, or one element.
FOLIO_KERNEL(binary_forward, BinaryOp op, const Tensor& y, const Tensor& a, const Tensor& b)
/// The gradients of a and b, summed over the dimensions that were broadcast. da is complete before
/// db is started, so both may be the same tensor.
FOLIO_KERNEL(binary_backward, BinaryOp op, GradTarget da, GradTarget db, const Tensor& a,
             const Tensor& b, const Tensor& dy)
/// y = x / (1 - p) where the mask keeps an element, else 0. It is its own backward pass, with dy
/// for x and dx for y.
FOLIO_KERNEL(dropout, GradTarget y, const Tensor& x, const DropoutMask& mask)

// --- reductions and rows ------------------------------------------------------------------------

/// y = factor * sum of x: over all elements if y has one element, else over the last axis.
FOLIO_KERNEL(sum_forward, const Tensor& y, const Tensor& x, double factor)
/// dx = factor * dy, broadcast to the shape of dx.
FOLIO_KERNEL(sum_backward, GradTarget dx, const Tensor& dy, double factor)
/// y (columns) = the sum of x (..., columns) over all rows: the gradient of a bias.
FOLIO_KERNEL(sum_rows, GradTarget y, const Tensor& x)
/// y = the sum of x (N, ...) over its first dimension; y has N times fewer elements than x.
FOLIO_KERNEL(sum_first, GradTarget y, const Tensor& x)
/// y (n) = or += ((x[0] + x[1]) + x[2]) + ... + x[count - 1]: a sum over ranks in the order of the
/// ranks. x[rank] is `own` (n), which may be y; every other x[r] is elements [r n, (r + 1) n) of
/// `received`. Any type, the same for all tensors; bf16 is added in f32 and rounded once. If count
/// is 0, an overwritten y becomes 0.
FOLIO_KERNEL(sum_over_ranks, GradTarget y, const Tensor& own, int64_t rank, const Tensor& received,
             int64_t count)
/// y = softmax(x) over the last axis, or its logarithm.
FOLIO_KERNEL(softmax_forward, const Tensor& y, const Tensor& x, bool logarithm)
FOLIO_KERNEL(softmax_backward, GradTarget dx, const Tensor& y, const Tensor& dy, bool logarithm)

// --- movement -----------------------------------------------------------------------------------

/// Axis i of y is axis axes[i] of x; only the first rank-of-x entries of axes are used.
FOLIO_KERNEL(permute, GradTarget y, const Tensor& x, const std::array<int, 4>& axes)
/// Copies indices [x_start, x_start + length) of x along axis to [y_start, y_start + length) of y;
/// the rest of y is not changed. x and y agree in every other dimension. Any type; i32 does not
/// accumulate.
FOLIO_KERNEL(copy_range, GradTarget y, int64_t y_start, const Tensor& x, int64_t x_start,
             int64_t length, int axis)
/// Row i of y = row indices[i] of table. table (V, C); indices i32 of any shape, in range.
FOLIO_KERNEL(gather_rows, const Tensor& y, const Tensor& table, const Tensor& indices)
/// dtable row indices[i] += dy row i, in the order of i; an overwritten dtable is set to 0 first.
/// In a bf16 dtable each addition rounds.
FOLIO_KERNEL(scatter_add_rows, GradTarget dtable, const Tensor& indices, const Tensor& dy)
/// y (B, T, C) = table row tokens[b, t] + positions row t. tokens i32 (B, T), table (V, C),
/// positions (at least T, C).
FOLIO_KERNEL(embedding_forward, const Tensor& y, const Tensor& tokens, const Tensor& table,
             const Tensor& positions)

// --- matrix products ----------------------------------------------------------------------------

/// c = op(a) op(b) or c += op(a) op(b), where op transposes the last two axes if asked: op(a) is
/// (..., M, K) and op(b) is (..., K, N). The leading dimensions are equal, or b has none and is
/// used for every a, or c has none and the products are summed over them (they become part of the
/// inner dimension; then transpose_a is set and transpose_b is not).
FOLIO_KERNEL(matmul, GradTarget c, const Tensor& a, bool transpose_a, const Tensor& b,
             bool transpose_b)
/// z = x weight^T + bias and y = activation(z). x (..., I), weight (O, I), bias (O) or empty. If
/// there is no activation, y = z and the tensor z is not used. With one, z (the shape of y) is
/// written for the backward pass unless it is empty. In bf16 the product is rounded before bias and
/// activation are applied, and again afterwards; where the GPU's library applies both, it is
/// rounded once, at the end.
FOLIO_KERNEL(linear_forward, const Tensor& y, const Tensor& z, const Tensor& x,
             const Tensor& weight, const Tensor& bias, std::optional<UnaryOp> activation)

// --- fused --------------------------------------------------------------------------------------

/// y = (x - mean) rstd gain + bias over the last axis, with rstd = 1 / sqrt(variance + eps). bias
/// may be empty. mean and rstd are outputs with one element per row, accumulators.
FOLIO_KERNEL(layer_norm_forward, const Tensor& y, const Tensor& mean, const Tensor& rstd,
             const Tensor& x, const Tensor& gain, const Tensor& bias, double eps)
/// sum = residual + dropout(x); y = layer norm of sum, as in layer_norm_forward.
FOLIO_KERNEL(add_dropout_layer_norm_forward, const Tensor& sum, const Tensor& y, const Tensor& mean,
             const Tensor& rstd, const Tensor& residual, const Tensor& x, const Tensor& gain,
             const Tensor& bias, double eps, const DropoutMask& mask)
FOLIO_KERNEL(layer_norm_backward, GradTarget dx, GradTarget dgain, GradTarget dbias,
             const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& gain,
             const Tensor& dy)
/// y (B, Tq, heads * head_dim) = dropout(softmax(scale q k^T + mask)) v for each head. key_mask is
/// empty or i32 (B, Tk), with 0 for keys that are hidden. log_sum (B, heads, Tq) is an output, an
/// accumulator: the logarithm of each row's sum of exponentials. For a query that sees no key, it
/// and y are 0.
FOLIO_KERNEL(attention_forward, const Tensor& y, const Tensor& log_sum, HeadColumns q,
             HeadColumns k, HeadColumns v, const Tensor& key_mask, const AttentionShape& shape)
FOLIO_KERNEL(attention_backward, HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv,
             HeadColumns q, HeadColumns k, HeadColumns v, const Tensor& key_mask, const Tensor& y,
             const Tensor& log_sum, const Tensor& dy, const AttentionShape& shape)
/// loss (one element, an accumulator) = scale * the sum over rows of the cross-entropy of logits
/// (..., V) and targets (i32, one per row); dlogits (the shape of logits, or empty) is its
/// gradient. Each row is read once while it is in the cache. dlogits may be logits.
FOLIO_KERNEL(cross_entropy, const Tensor& loss, const Tensor& dlogits, const Tensor& logits,
             const Tensor& targets, const CrossEntropyOptions& options)

// --- optimizer: slabs, all f32 or all f64 -------------------------------------------------------

/// sums[i] (f64) = the sum of squares of gradients [i, i + 1) * norm_piece; the last piece may be
/// shorter. The sum of `sums`, in order, is the square of the norm that gradient_norm computes.
FOLIO_KERNEL(sum_squares, const Tensor& sums, const Tensor& gradients)
/// norm_and_scale (2) = the Euclidean norm of gradients, and the factor that limits it to max_norm,
/// min(1, max_norm / norm); 1 if max_norm is 0.
FOLIO_KERNEL(gradient_norm, const Tensor& norm_and_scale, const Tensor& gradients, double max_norm)
/// One step of Adam (Kingma and Ba 2015, algorithm 1) with the gradients times norm_and_scale[1].
/// copy (bf16) receives the new values, rounded, in the same pass; it may be empty.
FOLIO_KERNEL(adam, const Tensor& values, const Tensor& copy, const Tensor& first_moment,
             const Tensor& second_moment, const Tensor& gradients, const Tensor& norm_and_scale,
             const AdamOptions& options)
/// One step of SGD: velocity = momentum * velocity + g and values -= lr * velocity, where g is the
/// gradient times norm_and_scale[1] plus weight_decay * values; copy as in adam. velocity may be
/// empty if momentum is 0.
FOLIO_KERNEL(sgd, const Tensor& values, const Tensor& copy, const Tensor& velocity,
             const Tensor& gradients, const Tensor& norm_and_scale, const SgdOptions& options)

#undef FOLIO_KERNEL
