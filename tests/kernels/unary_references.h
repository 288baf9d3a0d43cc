// The functions of one variable and their derivatives, in f64.
#pragma once

#include <algorithm>
#include <cmath>
#include <ostream>
#include <vector>

#include "folio/kernels/kernels.h"

namespace folio {

struct UnaryReference {
  const char* name;
  UnaryOp op;
  double (*value)(double);
  double (*slope)(double);
  bool positive;      // only defined for x > 0
  bool slope_from_y;  // unary_backward may not read x, else it may not read y
};

inline void PrintTo(const UnaryReference& reference, std::ostream* out) { *out << reference.name; }

/// One entry for each UnaryOp, in their order.
inline const std::vector<UnaryReference>& unary_references() {
  static const auto phi = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  static const auto sigmoid = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  static const double root = std::sqrt(2.0 / std::acos(-1.0));
  static const auto gate = [](double x) { return std::tanh(root * (x + 0.044715 * x * x * x)); };
  static const std::vector<UnaryReference> all = {
      {"exp", UnaryOp::exp, std::exp, std::exp, false, true},
      {"log", UnaryOp::log, std::log, [](double x) { return 1.0 / x; }, true, false},
      {"sqrt", UnaryOp::sqrt, std::sqrt, [](double x) { return 0.5 / std::sqrt(x); }, true, true},
      {"tanh", UnaryOp::tanh, std::tanh, [](double x) { return 1.0 - std::tanh(x) * std::tanh(x); },
       false, true},
      {"sigmoid", UnaryOp::sigmoid, sigmoid, [](double x) { return sigmoid(x) * sigmoid(-x); },
       false, true},
      {"relu", UnaryOp::relu, [](double x) { return std::max(x, 0.0); },
       [](double x) { return x > 0.0 ? 1.0 : 0.0; }, false, false},
      {"gelu", UnaryOp::gelu, [](double x) { return x * phi(x); },
       [](double x) { return phi(x) + 0.5 * x * root * std::exp(-0.5 * x * x); }, false, false},
      {"gelu_tanh", UnaryOp::gelu_tanh, [](double x) { return 0.5 * x * (1.0 + gate(x)); },
       [](double x) {
         const double t = gate(x);
         return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * root * (1.0 + 3.0 * 0.044715 * x * x);
       },
       false, false},
  };
  return all;
}

}  // namespace folio
