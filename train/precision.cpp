#include "folio/train/precision.h"

#include "folio/tensor/error.h"

namespace folio {

DType computing_type(std::string_view precision, bool multiplies_bf16) {
  if (precision == "auto") return multiplies_bf16 ? DType::bf16 : DType::f32;
  if (precision == "f32" || precision == "tf32") return DType::f32;
  FOLIO_CHECK(precision == "bf16", "train.precision",
              "{} is not known; use auto, f32, tf32 or bf16", precision);
  FOLIO_CHECK(multiplies_bf16, "train.precision",
              "this device does not multiply bf16, which needs a CPU with avx512_bf16 or amx_bf16 "
              "and a build with oneDNN, or a GPU of compute capability 8.0; use precision: auto or "
              "f32");
  return DType::bf16;
}

}  // namespace folio
