// What `folio gradcheck` says of a model, a spoiled one among them.
#include "folio/inspect/gradcheck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/kernels/kernels.h"
#include "support/temporary.h"

namespace folio {
namespace {

using ::testing::HasSubstr;

class ModelCheck : public ::testing::Test {
 protected:
  ModelCheck() {
    store_.create("right", {2, 3}, Init::normal(1.0));
    store_.create("wrong", {4}, Init::normal(1.0));
    store_.initialize(1);
  }

  /// The checks of sum(right^2) + sum(wrong^2), the gradient of `wrong` times 1 + `mistake`.
  std::vector<GradientCheckRow> check(double mistake, int64_t elements = 0) {
    Tape tape;
    return check_model(
        store_,
        [&](Tape& on) {
          const Variable right = store_.find("right").variable();
          const Variable wrong = spoiled(on, store_.find("wrong").variable(), mistake);
          return add(on, sum(on, multiply(on, right, right)), sum(on, multiply(on, wrong, wrong)));
        },
        tape, elements);
  }

  static Variable spoiled(Tape& tape, const Variable& x, double mistake) {
    const Variable y = tape.output_like(x);
    tape.kernels().copy({&y.value, false}, x.value);
    tape.record("spoiled", y, [mistake, dx = x.slot, dy = y.slot](Tape& t) {
      const Tensor factor = Tensor::from({}, std::vector<double>{1.0 + mistake});
      t.kernels().scale(t.grad_of(dx), t.grad(dy), factor);
    });
    return y;
  }

  ParameterStore store_{DType::f64};
};

TEST_F(ModelCheck, RightGradientsPass) {
  const std::vector<GradientCheckRow> rows = check(0.0);
  EXPECT_NO_THROW(require_right_gradients(rows));
  const std::string table = gradient_table(rows, store_);
  EXPECT_THAT(table, HasSubstr("\n2 parameters: 2 ok, 0 off; "));
  EXPECT_EQ(table.find("OFF"), table.npos);
}

TEST_F(ModelCheck, OneWrongGradientIsShownAndFails) {
  const std::vector<GradientCheckRow> rows = check(1e-5);
  const std::string table = gradient_table(rows, store_);
  EXPECT_THAT(table, HasSubstr("1.0e-05  OFF\n"));
  EXPECT_THAT(table, HasSubstr(": backward gives "));
  EXPECT_THAT(table, HasSubstr("\n2 parameters: 1 ok, 1 off; "));
  EXPECT_THAT(error_of([&] { require_right_gradients(rows); }),
              HasSubstr("gradcheck: the gradients of 1 parameters are off"));
}

TEST_F(ModelCheck, SomeElementsAndTheLargest) {
  EXPECT_LE(check(0.0, 2)[0].checked, 3);
  EXPECT_GE(check(0.0, 2)[0].checked, 2);
  EXPECT_EQ(check(0.0, 0)[0].checked, 6);
}

}  // namespace
}  // namespace folio
