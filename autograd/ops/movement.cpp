// Ops that move elements and compute nothing.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <utility>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"

namespace folio {
namespace {

Variable permute_axes(Tape& tape, const char* name, const Variable& x,
                      const std::array<int, 4>& axes) {
  Shape shape = x.shape();
  std::array<int, 4> inverse{};
  for (int i = 0; i < shape.rank(); ++i) {
    shape = shape.with(i, x.dim(axes[i]));
    inverse[axes[i]] = i;
  }
  const Variable y = tape.output(shape, x.value.dtype(), {&x});
  tape.kernels().permute({&y.value, false}, x.value, axes);
  tape.record(name, y, [inverse, dx = x.slot, dy = y.slot](Tape& tape) {
    tape.kernels().permute(tape.grad_of(dx), tape.grad(dy), inverse);
  });
  return y;
}

}  // namespace

Variable permute(Tape& tape, const Variable& x, std::initializer_list<int> axes) {
  check_floating("permute", "x", x.value);
  const int rank = x.shape().rank();
  FOLIO_CHECK(static_cast<int>(axes.size()) == rank, "permute", "{} axes given for {}", axes.size(),
              x.value.describe());
  std::array<int, 4> order{};
  unsigned seen = 0;
  int i = 0;
  for (int axis : axes) {
    order[i] = checked_axis("permute", x.shape(), axis);
    seen |= 1u << order[i++];
  }
  FOLIO_CHECK(seen == (1u << rank) - 1, "permute", "an axis of {} is named twice",
              x.shape().to_string());
  return permute_axes(tape, "permute", x, order);
}

Variable transpose(Tape& tape, const Variable& x, int first, int second) {
  check_floating("transpose", "x", x.value);
  std::array<int, 4> order{};
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[checked_axis("transpose", x.shape(), first)],
            order[checked_axis("transpose", x.shape(), second)]);
  return permute_axes(tape, "transpose", x, order);
}

Variable reshape(Tape& tape, const Variable& x, const Shape& shape) {
  check_floating("reshape", "x", x.value);
  const Variable y = tape.output_sharing(x.value.reshape(shape), x);
  tape.record("reshape", y,
              [dx = x.slot, dy = y.slot](Tape& tape) { tape.pass_grad(dx, tape.grad(dy)); });
  return y;
}

Variable slice(Tape& tape, const Variable& x, int axis, int64_t start, int64_t length) {
  check_floating("slice", "x", x.value);
  axis = checked_axis("slice", x.shape(), axis);
  FOLIO_CHECK(start >= 0 && length >= 0 && start + length <= x.dim(axis), "slice",
              "indices {} to {} lie outside axis {} of {}", start, start + length, axis,
              x.shape().to_string());
  const Variable y = tape.output(x.shape().with(axis, length), x.value.dtype(), {&x});
  tape.kernels().copy_range({&y.value, false}, 0, x.value, start, length, axis);
  tape.record("slice", y, [axis, start, length, dx = x.slot, dy = y.slot](Tape& tape) {
    GradTarget target = tape.grad_of(dx);
    if (!target) return;
    if (!target.accumulate) tape.kernels().fill(*target.tensor, 0.0);
    target.accumulate = true;
    tape.kernels().copy_range(target, start, tape.grad(dy), 0, length, axis);
  });
  return y;
}

Variable concat(Tape& tape, const std::vector<Variable>& parts, int axis) {
  FOLIO_CHECK(!parts.empty(), "concat", "there are no parts; wanted at least one");
  const Variable& first = parts.front();
  check_floating("concat", "part 0", first.value);
  axis = checked_axis("concat", first.shape(), axis);
  int64_t total = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    check_same_type("concat", "a part", parts[i].value, first.value);
    FOLIO_CHECK(parts[i].shape().rank() == first.shape().rank() &&
                    parts[i].shape().with(axis, 0) == first.shape().with(axis, 0),
                "concat", "part {} is {} but part 0 is {}; they may differ in axis {} only", i,
                parts[i].shape().to_string(), first.shape().to_string(), axis);
    total += parts[i].dim(axis);
  }
  const Variable y = tape.output(first.shape().with(axis, total), first.value.dtype(), parts);
  int64_t start = 0;
  std::vector<std::pair<GradSlot*, int64_t>> gradients;  // and where each part begins
  for (const Variable& part : parts) {
    tape.kernels().copy_range({&y.value, false}, start, part.value, 0, part.dim(axis), axis);
    if (part.needs_grad()) gradients.emplace_back(part.slot, start);
    start += part.dim(axis);
  }
  tape.record("concat", y, [axis, gradients = std::move(gradients), dy = y.slot](Tape& tape) {
    for (const auto& [dx, start] : gradients) {
      tape.kernels().copy_range(tape.grad_of(dx), 0, tape.grad(dy), start, dx->shape[axis], axis);
    }
  });
  return y;
}

Variable gather_rows(Tape& tape, const Variable& table, const Tensor& given) {
  check_floating("gather_rows", "table", table.value);
  FOLIO_CHECK(table.shape().rank() == 2, "gather_rows", "table is {}; wanted (V, C)",
              table.value.describe());
  check_indices("gather_rows", "indices", given, table.dim(0));
  const Tensor indices = on_device(given, tape.device());
  FOLIO_CHECK(indices.shape().rank() < Shape::max_rank, "gather_rows",
              "indices are {}; wanted at most {} axes", indices.describe(), Shape::max_rank - 1);
  const Variable y =
      tape.output(indices.shape().with_last(table.dim(1)), table.value.dtype(), {&table});
  tape.kernels().gather_rows(y.value, table.value, indices);
  tape.record("gather_rows", y, [indices, dtable = table.slot, dy = y.slot](Tape& tape) {
    tape.kernels().scatter_add_rows(tape.grad_of(dtable), indices, tape.grad(dy));
  });
  return y;
}

}  // namespace folio
