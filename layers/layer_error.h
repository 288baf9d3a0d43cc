// Adds the name of a layer to the errors of its ops.
#pragma once

#include <fmt/core.h>

#include <string>

#include "folio/autograd/parameters.h"
#include "folio/tensor/error.h"

namespace folio {

/// Returns op(). Its errors say which layer it is, "linear (blocks.0.up): ...", after the name of
/// `parameter`, one of the layer's.
template <class Op>
auto with_layer_name(const Parameter& parameter, Op op) {
  try {
    return op();
  } catch (const Error& error) {
    const std::string layer = parameter.name.substr(0, parameter.name.rfind('.'));
    if (error.where().starts_with(layer)) throw;
    throw Error(fmt::format("{} ({})", error.where(), layer), error.message(), error.remedy());
  }
}

}  // namespace folio
