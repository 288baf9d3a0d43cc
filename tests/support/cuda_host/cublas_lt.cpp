// Matrix products as cuBLASLt's documentation has them, in f64. What the library may refuse is
// refused, on the host where it looks there, else when the work is done.
#include <cublasLt.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

#include "f64_product.h"
#include "state.h"
#include "work.h"

using namespace cuda_host;

struct cublasLtContext {};

struct cublasLtMatmulDescOpaque {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  void* aux = nullptr;
  int64_t aux_ld = 0;
};

struct cublasLtMatrixLayoutOpaque {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t ld;
  int32_t batch = 1;
  int64_t step = 0;
};

struct cublasLtMatmulPreferenceOpaque {
  uint64_t workspace = 0;
  uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t align_a = 256, align_b = 256, align_c = 256, align_d = 256;
};

namespace {

using Product = cublasLtMatmulDescOpaque;
using Layout = cublasLtMatrixLayoutOpaque;

cublasStatus_t refuse(cublasStatus_t status, const char* why) {
  std::fprintf(stderr, "cuda_host: cuBLASLt: %s\n", why);
  return status;
}

int64_t size_of(cudaDataType_t type) { return type == CUDA_R_16BF ? 2 : 4; }

template <class T>
cublasStatus_t take(T& member, const void* value, size_t bytes) {
  if (bytes != sizeof(T))
    return refuse(CUBLAS_STATUS_INVALID_VALUE, "an attribute of another size");
  memcpy(&member, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

bool has(const Product& p, int bit) { return (p.epilogue & bit) != 0; }
constexpr int bias_bit = 4, gelu_bit = 32, aux_bit = 128;

/// What both the heuristic and the product look at.
cublasStatus_t check(const Product& p, const Layout& a, const Layout& b, const Layout& c,
                     const Layout& d) {
  for (const Layout* l : {&a, &b, &c, &d}) {
    if (l->rows == 0 || l->columns == 0 || l->batch < 1) {
      return refuse(CUBLAS_STATUS_INVALID_VALUE, "an empty matrix");
    }
    if (l->ld < static_cast<int64_t>(l->rows)) {
      return refuse(CUBLAS_STATUS_INVALID_VALUE, "a leading dimension below the number of rows");
    }
    if (l->batch != d.batch) return refuse(CUBLAS_STATUS_INVALID_VALUE, "batches of unlike size");
  }
  const uint64_t m = p.transpose_a == CUBLAS_OP_T ? a.columns : a.rows;
  const uint64_t k = p.transpose_a == CUBLAS_OP_T ? a.rows : a.columns;
  const uint64_t inner = p.transpose_b == CUBLAS_OP_T ? b.columns : b.rows;
  const uint64_t n = p.transpose_b == CUBLAS_OP_T ? b.rows : b.columns;
  if (inner != k || c.rows != m || d.rows != m || c.columns != n || d.columns != n) {
    return refuse(CUBLAS_STATUS_INVALID_VALUE, "matrices that do not fit each other");
  }
  const bool wide = a.type == CUDA_R_32F && b.type == CUDA_R_32F && d.type == CUDA_R_32F;
  const bool narrow = a.type == CUDA_R_16BF && b.type == CUDA_R_16BF;
  if (narrow && capability() < 80) {
    return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "bf16 below compute capability 8.0");
  }
  if (p.scale != CUDA_R_32F || c.type != d.type || !(wide || narrow) ||
      (narrow && p.compute != CUBLAS_COMPUTE_32F)) {
    return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "types that are not multiplied with each other");
  }
  if (has(p, bias_bit) && p.bias == nullptr) {
    return refuse(CUBLAS_STATUS_INVALID_VALUE, "an epilogue without its bias");
  }
  if (has(p, aux_bit) && (p.aux == nullptr || p.aux_ld % 8 != 0 ||
                          p.aux_ld < static_cast<int64_t>(d.rows) || d.batch != 1)) {
    return refuse(CUBLAS_STATUS_INVALID_VALUE, "an auxiliary matrix that is none");
  }
  return CUBLAS_STATUS_SUCCESS;
}

/// The configuration that an algorithm was chosen for.
uint64_t fingerprint(const Product& p, const Layout& a, const Layout& b, const Layout& d) {
  uint64_t hash = 1469598103934665603u;
  const auto add = [&](uint64_t value) { hash = (hash ^ value) * 1099511628211u; };
  for (const Layout* l : {&a, &b, &d}) {
    for (const uint64_t value :
         {static_cast<uint64_t>(l->type), l->rows, l->columns, static_cast<uint64_t>(l->ld),
          static_cast<uint64_t>(l->batch), static_cast<uint64_t>(l->step)}) {
      add(value);
    }
  }
  for (const int value : {static_cast<int>(p.compute), static_cast<int>(p.transpose_a),
                          static_cast<int>(p.transpose_b), static_cast<int>(p.epilogue)}) {
    add(static_cast<uint64_t>(value));
  }
  return hash;
}

bool is_aligned(const void* memory, uint64_t alignment) {
  return reinterpret_cast<uintptr_t>(memory) % alignment == 0;
}

double read(cudaDataType_t type, const void* memory, int64_t index) {
  if (type == CUDA_R_16BF) return widen_bf16(static_cast<const uint16_t*>(memory)[index]);
  return static_cast<const float*>(memory)[index];
}
void write(cudaDataType_t type, void* memory, int64_t index, double value) {
  if (type == CUDA_R_16BF) {
    static_cast<uint16_t*>(memory)[index] = round_to_bf16(value);
  } else {
    static_cast<float*>(memory)[index] = static_cast<float>(value);
  }
}

/// Bytes from the first element of the first matrix to the last one of the last.
size_t extent(const Layout& l) {
  const int64_t last = (l.batch - 1) * l.step + (static_cast<int64_t>(l.columns) - 1) * l.ld +
                       static_cast<int64_t>(l.rows);
  return static_cast<size_t>(last * size_of(l.type));
}

void need(const void* memory, size_t bytes, const char* what) {
  if (!is_device_memory(memory, bytes)) {
    throw DeviceError{cudaErrorIllegalAddress, std::string(what) + " reaches beyond its memory"};
  }
}

/// op(matrix) of one product, row-major.
std::vector<double> gather(const void* memory, const Layout& l, int64_t start, bool transpose,
                           bool tf32) {
  const auto rows = static_cast<int64_t>(transpose ? l.columns : l.rows);
  const auto columns = static_cast<int64_t>(transpose ? l.rows : l.columns);
  std::vector<double> values(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const double value = read(l.type, memory, start + (transpose ? c + r * l.ld : r + c * l.ld));
      values[static_cast<size_t>(r * columns + c)] = tf32 ? round_to_tf32(value) : value;
    }
  }
  return values;
}

struct Call {
  Product product;
  Layout a, b, c, d;
  const void *A, *B, *C;
  void* D;
  double alpha, beta;
  uint32_t reduction;
  void* workspace;
  size_t workspace_bytes;

  void run() const {
    need(A, extent(a), "cublasLtMatmul: A");
    need(B, extent(b), "cublasLtMatmul: B");
    if (beta != 0.0) need(C, extent(c), "cublasLtMatmul: C");
    need(D, extent(d), "cublasLtMatmul: D");
    if (has(product, bias_bit)) {
      need(product.bias, d.rows * static_cast<size_t>(size_of(d.type)), "cublasLtMatmul: bias");
    }
    if (has(product, aux_bit)) {
      const Layout aux{d.type, d.rows, d.columns, product.aux_ld};
      need(product.aux, extent(aux), "cublasLtMatmul: auxiliary matrix");
    }
    need(workspace, workspace_bytes, "cublasLtMatmul: workspace");
    memset(workspace, 0xFF, workspace_bytes);
    for (int32_t i = 0; i < d.batch; ++i) multiply(i);
  }

  void multiply(int64_t i) const {
    const bool tf32 = product.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && capability() >= 80;
    const auto m = static_cast<int64_t>(d.rows), n = static_cast<int64_t>(d.columns);
    const std::vector<double> x =
        gather(A, a, i * a.step, product.transpose_a == CUBLAS_OP_T, tf32);
    const std::vector<double> y =
        gather(B, b, i * b.step, product.transpose_b == CUBLAS_OP_T, tf32);
    const auto k = static_cast<int64_t>(x.size()) / m;
    std::vector<double> sums(static_cast<size_t>(m * n), 0.0);
    add_product(sums.data(), x.data(), y.data(), m, n, k);
    // Parts of a sum may be rounded to the result's type where that was not ruled out.
    const bool coarse =
        (reduction & (CUBLASLT_REDUCTION_SCHEME_INPLACE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE)) !=
        0;
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t s = 0; s < n; ++s) {
        const int64_t at = i * d.step + r + s * d.ld;
        double value = alpha * sums[static_cast<size_t>(r * n + s)];
        if (coarse && d.type == CUDA_R_16BF) value = 3.0 * widen_bf16(round_to_bf16(value / 3.0));
        if (beta != 0.0) value += beta * read(c.type, C, i * c.step + r + s * c.ld);
        if (has(product, bias_bit)) value += read(d.type, product.bias, r);
        if (has(product, aux_bit)) write(d.type, product.aux, r + s * product.aux_ld, value);
        if (has(product, gelu_bit)) {
          const double inner = 0.7978845608028654 * (value + 0.044715 * value * value * value);
          value = 0.5 * value * (1.0 + std::tanh(inner));
        }
        write(d.type, D, at, value);
      }
    }
  }
};

}  // namespace

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  const std::lock_guard lock(State::get().mutex);
  if (refuse_while_capturing("cublasLtCreate") != cudaSuccess) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  static cublasLtContext context;
  *handle = &context;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* product, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  *product = new Product{compute, scale};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
  delete product;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(product->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(product->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(product->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(product->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return take(product->aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return take(product->aux_ld, value, bytes);
  }
  return refuse(CUBLAS_STATUS_INVALID_VALUE, "an attribute of a product that the double lacks");
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
  *layout = new Layout{type, rows, columns, ld};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return take(layout->batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return take(layout->step, value, bytes);
  }
  return refuse(CUBLAS_STATUS_INVALID_VALUE, "an attribute of a matrix that the double lacks");
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return take(preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return take(preference->reduction, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return take(preference->align_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return take(preference->align_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return take(preference->align_c, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return take(preference->align_d, value, bytes);
  }
  return refuse(CUBLAS_STATUS_INVALID_VALUE, "an attribute of a preference that the double lacks");
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* returned) {
  *returned = 0;
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (wanted < 1) return refuse(CUBLAS_STATUS_INVALID_VALUE, "no algorithm wanted");
  if (const cublasStatus_t status = check(*product, *a, *b, *c, *d)) return status;
  // It wants some workspace, and uses as much alignment as it is told of.
  const auto& p = *preference;
  const uint64_t workspace = std::min<uint64_t>(p.workspace, 64 * 1024);
  results[0] = {};
  results[0].algo = {{fingerprint(*product, *a, *b, *d), workspace, p.reduction, p.align_a,
                      p.align_b, p.align_c, p.align_d, 0}};
  results[0].workspaceSize = workspace;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  *returned = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                              const void* alpha, const void* A, cublasLtMatrixLayout_t a,
                              const void* B, cublasLtMatrixLayout_t b, const void* beta,
                              const void* C, cublasLtMatrixLayout_t c, void* D,
                              cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (const cublasStatus_t status = check(*product, *a, *b, *c, *d)) return status;
  const auto& choice = algo->data;
  if (choice[0] != fingerprint(*product, *a, *b, *d)) {
    return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "an algorithm that was chosen for other matrices");
  }
  if (workspace_bytes < choice[1] || !is_aligned(workspace, 256)) {
    return refuse(CUBLAS_STATUS_INVALID_VALUE, "a workspace that is too small or misaligned");
  }
  if (!is_aligned(A, choice[3]) || !is_aligned(B, choice[4]) || !is_aligned(C, choice[5]) ||
      !is_aligned(D, choice[6])) {
    return refuse(CUBLAS_STATUS_INVALID_VALUE, "a matrix less aligned than the algorithm was told");
  }
  wait_as_told(Waits::in_products, stream);
  const Call call{*product,
                  *a,
                  *b,
                  *c,
                  *d,
                  A,
                  B,
                  C,
                  D,
                  *static_cast<const float*>(alpha),
                  *static_cast<const float*>(beta),
                  static_cast<uint32_t>(choice[2]),
                  workspace,
                  choice[1]};
  const cudaError_t error = put(stream, "cublasLtMatmul", [call] { call.run(); });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
