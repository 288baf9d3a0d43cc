// oneDNN's matmul primitive for bf16, in versions 2 and 3 of oneDNN. Only for builds with oneDNN.
#pragma once

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>

#include "folio/kernels/matrix_product.h"

namespace folio::cpu {

/// A primitive. Several threads may call it at once: its scratch memory belongs to the calling
/// thread.
class OnednnMatmulBf16 {
 public:
  OnednnMatmulBf16(const MatrixProduct& product, bool all_threads);
  void operator()(const bf16* a, const bf16* b, void* c) const;

 private:
  bool all_threads_;
  dnnl::memory::desc a_, b_, c_, scratch_;
  dnnl::matmul primitive_;
};

/// The primitive for a single product (count = 1), made once and cached. If `all_threads` is set,
/// oneDNN may divide the work among threads. Otherwise the calling thread does all of it, and the
/// bits of the result depend on `product` alone. Throws dnnl::error if oneDNN has no such
/// primitive.
std::shared_ptr<const OnednnMatmulBf16> onednn_matmul_bf16(const MatrixProduct& product,
                                                           bool all_threads);

}  // namespace folio::cpu
