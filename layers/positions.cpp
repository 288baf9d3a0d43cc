#include "folio/layers/positions.h"

#include <cmath>

#include "folio/tensor/copy.h"

namespace folio {

Tensor sinusoidal_positions(int64_t context, int64_t width, DType dtype, Device device) {
  const Tensor table({context, width}, dtype);
  const auto fill = [&]<class T>(T* element) {
    for (int64_t t = 0; t < context; ++t) {
      for (int64_t c = 0; c < width; ++c) {
        const double exponent = static_cast<double>(c - c % 2) / static_cast<double>(width);
        const double angle = static_cast<double>(t) / std::pow(10000.0, exponent);
        *element++ = T(c % 2 == 0 ? std::sin(angle) : std::cos(angle));
      }
    }
  };
  if (dtype == DType::f64) {
    fill(table.data<double>());
  } else if (dtype == DType::bf16) {
    fill(table.data<bf16>());
  } else {
    fill(table.data<float>());
  }
  return on_device(table, device);
}

PositionalEncoding::PositionalEncoding(const Scope& scope, Positions kind, int64_t context,
                                       int64_t width)
    : context_(context), width_(width) {
  if (kind == Positions::learned) {
    weight_ = &scope.parameter("weight", {context, width}, Init::normal(0.02));
  }
}

Variable PositionalEncoding::operator()(const Tensor& like) const {
  if (weight_ != nullptr) return weight_->variable();
  if (!table_ || table_.dtype() != like.dtype() || table_.device() != like.device()) {
    table_ = sinusoidal_positions(context_, width_, like.dtype(), like.device());
  }
  return {table_};
}

}  // namespace folio
