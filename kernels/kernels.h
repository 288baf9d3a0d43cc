// The kernels' interface: one table of plain functions per device. Kernels only do arithmetic:
// their callers (autograd/ops) have checked shapes and types and allocated every output. What each
// entry computes is documented in kernel_list.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "folio/kernels/grad_target.h"
#include "folio/tensor/device.h"
#include "folio/tensor/random.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// gelu is x Phi(x); gelu_tanh is its tanh approximation (Hendrycks and Gimpel 2016,
/// arXiv:1606.08415).
enum class UnaryOp : uint8_t { exp, log, sqrt, tanh, sigmoid, relu, gelu, gelu_tanh };

enum class BinaryOp : uint8_t { add, subtract, multiply, divide };

/// Columns [first, first + heads * head_dim) of the rows of a (B, T, W) tensor: queries, keys or
/// values, packed into one tensor or separate. For keys and values the tensor's T may be larger
/// than AttentionShape::keys; the rows beyond are not read.
struct HeadColumns {
  const Tensor* tensor = nullptr;
  int64_t first = 0;
};

/// The gradient of HeadColumns; the other columns of the tensor are not changed.
struct HeadColumnsGrad {
  GradTarget target;
  int64_t first = 0;

  /// Whether both are the same columns of one tensor: then the second gradient written is added.
  bool same_columns(const HeadColumnsGrad& other) const {
    return target && other.target && target.tensor->raw() == other.target.tensor->raw() &&
           first == other.first;
  }
};

struct AttentionShape {
  int64_t batch = 0, heads = 0, queries = 0, keys = 0, head_dim = 0;
  bool causal = false;  // query i sees keys 0 .. i + keys - queries
  double scale = 1.0;   // of the scores, usually 1 / sqrt(head_dim)
  DropoutMask dropout;  // of the probabilities, indexed as (batch, heads, queries, keys)
};

struct CrossEntropyOptions {
  double label_smoothing = 0.0;  // epsilon: (1 - epsilon) nll + epsilon mean over classes of -log p
  int32_t ignored_index = -1;    // targets with this value have no loss and no gradient
  double scale = 1.0;            // of loss and gradient, usually 1 / valid targets
};

struct AdamOptions {
  double lr = 0.0;
  double lr_scale = 1.0;  // factor of lr, also of one that a captured graph reads from memory
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
  bool decoupled = true;  // AdamW (Loshchilov and Hutter 2019); else decay is added to the gradient
  int64_t step = 1;       // counted from 1, for the bias corrections
};

struct SgdOptions {
  double lr = 0.0;
  double lr_scale = 1.0;  // as in AdamOptions
  double momentum = 0.0, weight_decay = 0.0;
  int64_t step = 1;  // counted from 1: in the first step the velocity is the gradient itself
};

/// The number of elements whose squares gradient_norm adds into one partial sum.
inline constexpr int64_t norm_piece = 16 * 1024;

/// The factor that limits gradients of Euclidean norm `norm` to max_norm; 1 if max_norm is 0. For a
/// norm of NaN the result is NaN.
inline double clip_scale(double norm, double max_norm) {
  return max_norm == 0.0 || norm <= max_norm ? 1.0 : max_norm / norm;
}

/// A device's kernels, see kernel_list.h.
struct Kernels {
#define FOLIO_KERNEL(name, ...) void (*name)(__VA_ARGS__);
#include "folio/kernels/kernel_list.h"
};

/// The device's table. Throws Error for an invalid FOLIO_ISA, see instruction_set(), and if there
/// is no such device.
const Kernels& kernels_for(Device device);

/// Whether the device multiplies bf16 natively: a CPU with avx512_bf16 or amx_bf16 through oneDNN,
/// a GPU from compute capability 8.0 on. Elsewhere bf16 products are computed through f32, with the
/// same rounding of the result but slower than f32 products.
bool multiplies_bf16(Device device);

/// A table whose every entry is the function Wrapped<entry>::call, for example one that times or
/// counts calls of another table. It is independent of the device.
template <template <auto> class Wrapped>
constexpr Kernels wrap_kernels() {
  return {
#define FOLIO_KERNEL(name, ...) .name = Wrapped<&Kernels::name>::call,
#include "folio/kernels/kernel_list.h"
  };
}

/// Identifies an entry of the table in overloads: Entry<&Kernels::fill>.
template <auto entry>
struct Entry {};

namespace detail {

template <class Recorder>
struct Recording {
  template <auto entry>
  struct Wrapped;
  template <class... Argument, void (*Kernels::*entry)(Argument...)>
  struct Wrapped<entry> {
    static void call(Argument... argument) { Recorder::record(Entry<entry>(), argument...); }
  };
};

}  // namespace detail

/// A table whose entries call Recorder::record(Entry<entry>(), arguments...) and nothing else. A
/// recorder may pass the call on to another table.
template <class Recorder>
constexpr Kernels recording_kernels() {
  return wrap_kernels<detail::Recording<Recorder>::template Wrapped>();
}

}  // namespace folio
