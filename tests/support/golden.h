// What PyTorch computed: the JSON files of tests/golden.
#pragma once

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/gradcheck.h"

namespace folio {

/// A file of tests/golden.
inline nlohmann::json read_golden(const std::string& name) {
  const std::string path = std::string(FOLIO_SOURCE_DIR) + "/tests/golden/" + name;
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return nlohmann::json::parse(file);
}

inline Shape shape_from(const nlohmann::json& dims) {
  const auto d = dims.get<std::vector<int64_t>>();
  switch (d.size()) {
    case 0:
      return {};
    case 1:
      return {d[0]};
    case 2:
      return {d[0], d[1]};
    case 3:
      return {d[0], d[1], d[2]};
    case 4:
      return {d[0], d[1], d[2], d[3]};
  }
  throw std::runtime_error("a golden tensor has too many dimensions");
}

inline std::vector<double> numbers_from(const nlohmann::json& list) {
  return list.get<std::vector<double>>();
}

/// A list of rows of integers as an i32 tensor (rows, columns).
inline Tensor tokens_from(const nlohmann::json& rows) {
  std::vector<int32_t> tokens;
  for (const auto& row : rows) {
    for (const auto& token : row) tokens.push_back(token.get<int32_t>());
  }
  const auto count = static_cast<int64_t>(rows.size());
  return Tensor::from({count, static_cast<int64_t>(tokens.size()) / count}, tokens);
}

/// How far values may lie from PyTorch's, relative to a tensor's largest element. The files hold
/// nine significant digits, computed in f64.
inline double golden_tolerance(DType dtype) { return dtype == DType::f64 ? 1e-8 : 1e-5; }

}  // namespace folio
