// oneDNN's matmul primitive for bf16, in versions 2 and 3 of oneDNN; only where that is built in.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>

#include "folio/tensor/bf16.h"

namespace folio::cpu {

/// What a primitive is made for: row-major C (m, n) = op(A) op(B), or C += it, with the meanings of
/// gemm.h. A and B are bf16, C too, or f32 if `wide`.
struct Bf16ProductKind {
  bool transpose_a = false, transpose_b = false, accumulate = false, wide = false;
  int64_t m = 0, n = 0, k = 0, lda = 0, ldb = 0, ldc = 0;
  /// Whether oneDNN may share the work among threads. Otherwise the calling thread does it all, and
  /// the bits depend on the other members alone.
  bool shared = false;

  auto operator<=>(const Bf16ProductKind&) const = default;
};

/// A primitive. It may be called from several threads at once: its scratch memory is the thread's.
class Bf16Product {
 public:
  explicit Bf16Product(const Bf16ProductKind& kind);
  void operator()(const bf16* a, const bf16* b, void* c) const;

 private:
  bool shared_;
  dnnl::memory::desc a_, b_, c_, scratch_;
  dnnl::matmul primitive_;
};

/// The primitive of this kind, made once and kept. Throws dnnl::error where oneDNN has none.
std::shared_ptr<const Bf16Product> bf16_product(const Bf16ProductKind& kind);

}  // namespace folio::cpu
