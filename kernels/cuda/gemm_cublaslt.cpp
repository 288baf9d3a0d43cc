// cuBLASLt's matrices are column-major, so it sees the transpose of a row-major matrix. c = a b is
// therefore computed as c^T = b^T a^T, with a and b swapped.
#include "folio/kernels/cuda/gemm_cublaslt.h"

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <mutex>

#include "folio/kernels/cuda/libraries.h"
#include "folio/kernels/process.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio::cuda {
namespace {

/// The largest power of two, up to 256, that divides the address: the alignment that the library
/// may assume. 256 for null.
uint32_t alignment_of(const void* memory) {
  const auto address = static_cast<unsigned>(reinterpret_cast<uintptr_t>(memory) & 255u);
  return address == 0 ? 256u : 1u << std::countr_zero(address);
}

/// What the choice of an algorithm depends on.
struct PlanKey {
  MatrixProduct product;  // accumulate: always false
  uint32_t align_a, align_b, align_c, align_bias, align_aux;
  cublasLtEpilogue_t epilogue;
  cublasComputeType_t compute;

  auto operator<=>(const PlanKey&) const = default;
};

/// An object of the library that is destroyed by its function.
template <class T, auto destroy>
struct Owner {
  void operator()(T object) const { destroy(object); }
  using pointer = T;
};
template <class T, auto destroy>
using Owned = std::unique_ptr<T, Owner<T, destroy>>;
using ProductDescriptor = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using MatrixLayout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

struct Plan {
  ProductDescriptor product;
  MatrixLayout a, b, c;  // in the library's order
  cublasLtMatmulAlgo_t algorithm{};
  bool found = false;
};

cudaDataType_t data_type(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

template <class T>
void set(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(product, attribute, &value, sizeof(value)),
        "cublasLtMatmulDescSetAttribute");
}

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
        "cublasLtMatmulPreferenceSetAttribute");
}

/// The layout of the transposes of `count` row-major matrices (rows, columns).
MatrixLayout layout(DType dtype, int64_t rows, int64_t columns, int64_t row_step, int64_t count,
                    int64_t step) {
  cublasLtMatrixLayout_t created = nullptr;
  check(cublasLtMatrixLayoutCreate(&created, data_type(dtype), static_cast<uint64_t>(columns),
                                   static_cast<uint64_t>(rows), row_step),
        "cublasLtMatrixLayoutCreate");
  MatrixLayout made(created);
  if (count > 1) {
    const auto batch = static_cast<int32_t>(count);
    check(cublasLtMatrixLayoutSetAttribute(made.get(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                           sizeof(batch)),
          "cublasLtMatrixLayoutSetAttribute");
    check(cublasLtMatrixLayoutSetAttribute(made.get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                           &step, sizeof(step)),
          "cublasLtMatrixLayoutSetAttribute");
  }
  return made;
}

cublasLtEpilogue_t kind_of(const GemmEpilogue& epilogue) {
  if (!epilogue.gelu)
    return epilogue.bias != nullptr ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  if (epilogue.before_gelu == nullptr) {
    return epilogue.bias != nullptr ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  }
  return epilogue.bias != nullptr ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
}

/// Stores the addresses of this call in the descriptor.
void set_pointers(cublasLtMatmulDesc_t product, const GemmEpilogue& epilogue) {
  if (epilogue.bias != nullptr) set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, epilogue.bias);
  if (epilogue.before_gelu != nullptr) {
    set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, epilogue.before_gelu);
  }
}

Plan make_plan(const PlanKey& key, const GemmEpilogue& epilogue) {
  const MatrixProduct& p = key.product;
  Plan plan;
  cublasLtMatmulDesc_t product = nullptr;
  check(cublasLtMatmulDescCreate(&product, key.compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
  plan.product.reset(product);
  set(product, CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(product, CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(product, CUBLASLT_MATMUL_DESC_EPILOGUE, key.epilogue);
  if (epilogue.before_gelu != nullptr) set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.n);
  set_pointers(product, epilogue);  // the heuristic considers their alignment

  plan.a = p.transpose_b ? layout(p.values, p.n, p.k, p.ldb, p.count, p.stride_b)
                         : layout(p.values, p.k, p.n, p.ldb, p.count, p.stride_b);
  plan.b = p.transpose_a ? layout(p.values, p.k, p.m, p.lda, p.count, p.stride_a)
                         : layout(p.values, p.m, p.k, p.lda, p.count, p.stride_a);
  plan.c = layout(p.result, p.m, p.n, p.ldc, p.count, p.stride_c);

  cublasLtMatmulPreference_t preference = nullptr;
  check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  const Preference owned(preference);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
      static_cast<uint64_t>(gemm_workspace_bytes));
  // Partial sums are added in f32 in a fixed order: not in the result, and not rounded to bf16.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.align_b);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.align_a);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.align_c);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.align_c);
  cublasLtMatmulHeuristicResult_t best{};
  int results = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(cublas_handle(), product, plan.a.get(), plan.b.get(),
                                     plan.c.get(), plan.c.get(), preference, 1, &best, &results);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(status, "cublasLtMatmulAlgoGetHeuristic");
  plan.found =
      status == CUBLAS_STATUS_SUCCESS && results > 0 && best.state == CUBLAS_STATUS_SUCCESS;
  plan.algorithm = best.algo;
  return plan;
}

void* workspace() {
  static const Tensor* const room =
      new Tensor({gemm_workspace_bytes / 4}, DType::f32, Device::cuda);
  return room->raw();
}

}  // namespace

bool cublaslt_gemm(const MatrixProduct& product, const void* a, const void* b, void* c,
                   const GemmEpilogue& epilogue) {
  PlanKey key{
      product,
      alignment_of(a),
      alignment_of(b),
      alignment_of(c),
      alignment_of(epilogue.bias),
      alignment_of(epilogue.before_gelu),
      kind_of(epilogue),
      product.values == DType::f32 && tf32() ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F};
  key.product.accumulate = false;  // plans do not depend on it
  static std::mutex mutex;
  static std::map<PlanKey, Plan>* const plans = new std::map<PlanKey, Plan>;
  const std::lock_guard lock(mutex);
  auto found = plans->find(key);
  if (found == plans->end()) found = plans->emplace(key, make_plan(key, epilogue)).first;
  const Plan& plan = found->second;
  if (!plan.found) {
    FOLIO_CHECK(key.epilogue != CUBLASLT_EPILOGUE_DEFAULT, "matmul",
                "cuBLASLt has no algorithm for ({}, {}) = ({}, {}) ({}, {}) of {} in {} here; use "
                "device: cpu",
                product.m, product.n, product.m, product.k, product.k, product.n,
                name_of(product.result), name_of(product.values));
    return false;
  }
  if (is_dry_run()) return true;
  set_pointers(plan.product.get(), epilogue);
  const float alpha = 1.0f, beta = product.accumulate ? 1.0f : 0.0f;
  check(
      cublasLtMatmul(cublas_handle(), plan.product.get(), &alpha, b, plan.a.get(), a, plan.b.get(),
                     &beta, c, plan.c.get(), c, plan.c.get(), &plan.algorithm, workspace(),
                     static_cast<size_t>(gemm_workspace_bytes), Context::get().stream()),
      "cublasLtMatmul");
  return true;
}

}  // namespace folio::cuda
