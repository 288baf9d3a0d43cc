#ifdef FOLIO_HAVE_ONEDNN
#include "folio/kernels/cpu/bf16_product.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <cstddef>
#include <map>
#include <mutex>

#include "folio/kernels/cpu/scratch.h"

namespace folio::cpu {
namespace {

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// One thread for oneDNN while it lives, unless the work is shared: what a primitive does depends
/// on the threads that there seemed to be when it was made.
class ThreadsOfProduct {
 public:
#ifdef _OPENMP
  explicit ThreadsOfProduct(bool shared) : before_(shared ? 0 : omp_get_max_threads()) {
    if (before_ > 0) omp_set_num_threads(1);
  }
  ~ThreadsOfProduct() {
    if (before_ > 0) omp_set_num_threads(before_);
  }
  ThreadsOfProduct(const ThreadsOfProduct&) = delete;
  ThreadsOfProduct& operator=(const ThreadsOfProduct&) = delete;

 private:
  int before_;
#else
  explicit ThreadsOfProduct(bool) {}  // without OpenMP oneDNN's threads are not ours to set
#endif
};

}  // namespace

Bf16Product::Bf16Product(const Bf16ProductKind& kind) : shared_(kind.shared) {
  using dnnl::memory;
  const auto strides = [](bool transpose, int64_t row) {
    return transpose ? memory::dims{1, row} : memory::dims{row, 1};
  };
  const auto narrow = memory::data_type::bf16;
  const auto result = kind.wide ? memory::data_type::f32 : narrow;
  a_ = memory::desc({kind.m, kind.k}, narrow, strides(kind.transpose_a, kind.lda));
  b_ = memory::desc({kind.k, kind.n}, narrow, strides(kind.transpose_b, kind.ldb));
  c_ = memory::desc({kind.m, kind.n}, result, strides(false, kind.ldc));
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (kind.accumulate) {
    dnnl::post_ops add;
    add.append_sum(1.0f);
    attributes.set_post_ops(add);
  }
  const ThreadsOfProduct threads(shared_);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(cpu_engine(), a_, b_, c_, attributes);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a_, b_, c_), attributes,
                                                 cpu_engine());
#endif
  scratch_ = description.scratchpad_desc();
  primitive_ = dnnl::matmul(description);
}

void Bf16Product::operator()(const bf16* a, const bf16* b, void* c) const {
  thread_local dnnl::stream stream(cpu_engine());
  const ThreadsOfProduct threads(shared_);
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

std::shared_ptr<const Bf16Product> bf16_product(const Bf16ProductKind& kind) {
  constexpr size_t most = 4096;  // a program has some dozens; a stream of new shapes stays bounded
  static std::mutex mutex;
  static std::map<Bf16ProductKind, std::shared_ptr<const Bf16Product>> kept;
  const std::lock_guard lock(mutex);
  const auto found = kept.find(kind);
  if (found != kept.end()) return found->second;
  if (kept.size() >= most) kept.clear();
  return kept[kind] = std::make_shared<const Bf16Product>(kind);
}

}  // namespace folio::cpu
#endif
