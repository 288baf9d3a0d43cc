// Token embedding plus positions.
#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"

namespace folio {

Variable embedding(Tape& tape, const Tensor& given, const Variable& table,
                   const Variable& positions) {
  check_floating("embedding", "table", table.value);
  check_same_type("embedding", "positions", positions.value, table.value);
  FOLIO_CHECK(given && given.shape().rank() == 2, "embedding", "tokens are {}; wanted i32 (B, T)",
              given.describe());
  FOLIO_CHECK(table.shape().rank() == 2 && positions.shape().rank() == 2 &&
                  positions.dim(1) == table.dim(1) && positions.dim(0) >= given.dim(1),
              "embedding", "table is {} and positions are {}; wanted (V, C) and (at least {}, C)",
              table.shape().to_string(), positions.shape().to_string(), given.dim(1));
  check_indices("embedding", "tokens", given, table.dim(0));
  const Tensor tokens = on_device(given, tape.device());
  const int64_t length = tokens.dim(1), columns = table.dim(1);
  const Variable y =
      tape.output({tokens.dim(0), length, columns}, table.value.dtype(), {&table, &positions});
  tape.kernels().embedding_forward(y.value, tokens, table.value, positions.value);
  tape.record("embedding", y,
              [length, columns, tokens, dtable = table.slot, dpositions = positions.slot,
               dy = y.slot](Tape& tape) {
                const Tensor& g = tape.grad(dy);
                tape.kernels().scatter_add_rows(tape.grad_of(dtable), tokens, g);
                GradTarget target = tape.grad_of(dpositions);
                if (!target) return;
                // Positions beyond this batch's length receive nothing.
                if (!target.accumulate && target.tensor->dim(0) > length) {
                  tape.kernels().fill(*target.tensor, 0.0);
                }
                const Tensor seen = target.tensor->view(0, {length, columns});
                tape.kernels().sum_first({&seen, target.accumulate}, g);
              });
  return y;
}

}  // namespace folio
