#include <cstdint>

#ifdef FOLIO_HAVE_ONEDNN
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>

#include "folio/kernels/cpu/onednn_matmul_bf16.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/scratch.h"

namespace folio::cpu {
namespace {

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

}  // namespace

// What a primitive does depends on the number of threads that is set when it is made.
OnednnMatmulBf16::OnednnMatmulBf16(const MatrixProduct& p, bool all_threads)
    : all_threads_(all_threads) {
  using dnnl::memory;
  const auto strides = [](bool transpose, int64_t row) {
    return transpose ? memory::dims{1, row} : memory::dims{row, 1};
  };
  const auto narrow = memory::data_type::bf16;
  const auto result = p.result == DType::f32 ? memory::data_type::f32 : narrow;
  a_ = memory::desc({p.m, p.k}, narrow, strides(p.transpose_a, p.lda));
  b_ = memory::desc({p.k, p.n}, narrow, strides(p.transpose_b, p.ldb));
  c_ = memory::desc({p.m, p.n}, result, strides(false, p.ldc));
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (p.accumulate) {
    dnnl::post_ops add;
    add.append_sum(1.0f);
    attributes.set_post_ops(add);
  }
  const OneThread one_thread(!all_threads_);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(cpu_engine(), a_, b_, c_, attributes);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a_, b_, c_), attributes,
                                                 cpu_engine());
#endif
  scratch_ = description.scratchpad_desc();
  primitive_ = dnnl::matmul(description);
}

void OnednnMatmulBf16::operator()(const bf16* a, const bf16* b, void* c) const {
  thread_local dnnl::stream stream(cpu_engine());
  const OneThread one_thread(!all_threads_);
  const auto memory = [](const dnnl::memory::desc& description, const void* data) {
    return dnnl::memory(description, cpu_engine(), const_cast<void*>(data));
  };
  const auto bytes = static_cast<int64_t>(scratch_.get_size());
  primitive_.execute(
      stream, {{DNNL_ARG_SRC, memory(a_, a)},
               {DNNL_ARG_WEIGHTS, memory(b_, b)},
               {DNNL_ARG_DST, memory(c_, c)},
               {DNNL_ARG_SCRATCHPAD, memory(scratch_, thread_scratch<std::byte>(bytes)[0])}});
}

std::shared_ptr<const OnednnMatmulBf16> onednn_matmul_bf16(const MatrixProduct& product,
                                                           bool all_threads) {
  // A program has some dozens of shapes; the limit bounds the cache if shapes keep changing.
  constexpr size_t most = 4096;
  static std::mutex mutex;
  static std::map<std::pair<MatrixProduct, bool>, std::shared_ptr<const OnednnMatmulBf16>> cache;
  const std::lock_guard lock(mutex);
  const std::pair key(product, all_threads);
  const auto found = cache.find(key);
  if (found != cache.end()) return found->second;
  if (cache.size() >= most) cache.clear();
  return cache[key] = std::make_shared<const OnednnMatmulBf16>(product, all_threads);
}

}  // namespace folio::cpu
#endif
