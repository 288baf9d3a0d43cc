// Every entry of the kernels' table, for whoever does something to each of them.
#pragma once

#include "folio/kernels/kernels.h"

namespace folio {

template <auto... entries>
struct KernelEntries {
  static_assert(sizeof(Kernels) == sizeof...(entries) * sizeof(void (*)()),
                "an entry of Kernels is missing from the list below, or stands in it twice");
};

using AllKernelEntries =
    KernelEntries<&Kernels::fill, &Kernels::copy, &Kernels::scale, &Kernels::unary_forward,
                  &Kernels::unary_backward, &Kernels::binary_forward, &Kernels::binary_backward,
                  &Kernels::dropout, &Kernels::sum_forward, &Kernels::sum_backward,
                  &Kernels::sum_rows, &Kernels::sum_first, &Kernels::softmax_forward,
                  &Kernels::softmax_backward, &Kernels::permute, &Kernels::copy_range,
                  &Kernels::gather_rows, &Kernels::scatter_add_rows, &Kernels::embedding_forward,
                  &Kernels::matmul, &Kernels::linear_forward, &Kernels::layer_norm_forward,
                  &Kernels::add_dropout_layer_norm_forward, &Kernels::layer_norm_backward,
                  &Kernels::attention_forward, &Kernels::attention_backward,
                  &Kernels::cross_entropy, &Kernels::sum_squares, &Kernels::gradient_norm,
                  &Kernels::adam, &Kernels::sgd>;

/// A table whose every entry is Wrapped<entry>::call.
template <template <auto> class Wrapped, auto... entries>
Kernels wrap_kernels(KernelEntries<entries...>) {
  Kernels table;
  ((table.*entries = Wrapped<entries>::call), ...);
  return table;
}

}  // namespace folio
