#include "folio/inspect/profile.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "folio/inspect/profile_work.h"
#include "folio/train/trainer.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {
namespace {

class ProfileTest : public testing::Test {
 protected:
  ProfileTest() { write_file(text_, tiny_text()); }

  Config config(const std::vector<std::string>& overrides = {}) const {
    return tiny_config(text_, overrides);
  }

  TemporaryDirectory directory_;
  std::filesystem::path text_ = directory_.path() / "text.txt";
};

ProfileRow row_of(const Profile& profile, std::string_view name, std::string_view pass) {
  const auto row = std::ranges::find_if(
      profile.rows, [&](const ProfileRow& r) { return r.name == name && r.pass == pass; });
  return row == profile.rows.end() ? ProfileRow() : *row;
}

// 2 layers, 2 heads, width 16, context 12, batch 8: N = 96 tokens. The blocks' matrices have
// 2 * 12 * 16 * 16 = 6,144 elements, the output's 16 V. A multiplication and an addition for each
// element and token: 2 N (6,144 + 16 V); backward twice that. Attention: of each of 2 * 8 * 2 heads
// 12 * 13 / 2 = 78 pairs are seen, in two products of 2 * 8 operations a pair: 32 * 78 * 32 =
// 79,872; backward in four.
TEST_F(ProfileTest, CountsWhatPencilAndPaperGive) {
  Trainer trainer(config());
  const auto vocabulary = static_cast<double>(trainer.tokenizer().vocabulary());
  const double linear = 2.0 * 96.0 * (6144.0 + 16.0 * vocabulary);
  const auto parameters = static_cast<double>(trainer.parameters().numel());
  for (const int64_t parts : {1, 2}) {  // micro-batches
    const Profile result = profile(config({fmt::format("train.accumulate={}", parts)}), 1);
    EXPECT_EQ(result.tokens, 96);
    EXPECT_DOUBLE_EQ(row_of(result, "linear", "forward").flops, linear);
    EXPECT_DOUBLE_EQ(row_of(result, "linear", "backward").flops, 2.0 * linear);
    EXPECT_DOUBLE_EQ(row_of(result, "attention", "forward").flops, 79872.0);
    EXPECT_DOUBLE_EQ(row_of(result, "attention", "backward").flops, 2.0 * 79872.0);
    EXPECT_DOUBLE_EQ(result.flops(), 3.0 * (linear + 79872.0));
    EXPECT_DOUBLE_EQ(result.planned_flops, result.flops());
    EXPECT_EQ(row_of(result, "linear", "forward").calls, parts * (4 * 2 + 1));
    EXPECT_EQ(row_of(result, "linear", "backward").calls, parts * (4 * 2 + 1));
    EXPECT_EQ(row_of(result, "attention", "forward").calls, parts * 2);
    EXPECT_EQ(row_of(result, "cross_entropy", "backward").calls, parts);
    // The norm reads the gradients; Adam reads them, and reads and writes values and two moments.
    // The norm and the factor, two floats, are seen by the norm's kernel alone.
    EXPECT_DOUBLE_EQ(result.rows.back().bytes, 4.0 * (parameters + 7.0 * parameters + 2.0));
    EXPECT_EQ(result.rows.back().name, "optimizer");
  }
}

TEST_F(ProfileTest, TimesAddUpToTheStep) {
  const Profile result = profile(config(), 3);
  double sum = result.batch_seconds + result.tape_seconds;
  for (const ProfileRow& row : result.rows) {
    EXPECT_GT(row.seconds, 0.0) << row.name << " " << row.pass;
    EXPECT_GT(row.bytes, 0.0) << row.name << " " << row.pass;
    EXPECT_GT(row.copy_seconds, 0.0) << row.name << " " << row.pass;
    EXPECT_EQ(row.product_seconds > 0.0, row.flops > 0.0) << row.name << " " << row.pass;
    sum += row.seconds;
  }
  EXPECT_GT(result.batch_seconds, 0.0);
  EXPECT_GT(result.tape_seconds, 0.0) << "kernels cannot take longer than the step";
  EXPECT_NEAR(sum, result.step_seconds, 1e-9);
  EXPECT_GT(result.plain_seconds, 0.0);
  double products = 0.0, flops = 0.0;
  for (const ProductTime& time : result.products) {
    products += time.times * time.seconds;
    flops += time.times * time.product.flops();
  }
  EXPECT_NEAR(products, result.product_seconds, 1e-9);
  EXPECT_NEAR(flops, result.flops(), 1e-3);
}

TEST_F(ProfileTest, JsonHoldsTheRows) {
  const Profile result = profile(config({"optimizer.name=sgd"}), 1);
  const auto json = nlohmann::json::parse(to_json(result));
  ASSERT_EQ(json.at("ops").size(), result.rows.size());
  EXPECT_EQ(json.at("ops").at(0).at("op"), result.rows[0].name);
  EXPECT_EQ(json.at("ops").at(0).at("seconds"), result.rows[0].seconds);
  EXPECT_EQ(json.at("matrix_products").size(), result.products.size());
  EXPECT_EQ(json.at("flops"), result.planned_flops);
  for (const ProfileRow& row : result.rows) {
    EXPECT_THAT(to_table(result), testing::HasSubstr(row.name + " " + row.pass));
  }
}

TEST_F(ProfileTest, RefusesToTimeNothing) {
  EXPECT_THAT(error_of([&] { profile(config(), 0); }), testing::HasSubstr("at least 1"));
}

TEST(KernelWork, KnowsTheShapesOfProducts) {
  const Entry<&Kernels::matmul> matmul;
  const Tensor a({2, 3, 4}, DType::f32), b({2, 4, 5}, DType::f32), one_b({5, 4}, DType::f32);
  const Tensor c({2, 3, 5}, DType::f32), d({2, 3, 7}, DType::f32), sum({4, 7}, DType::f32);
  const auto shape = [](const KernelWork& work) {
    const MatrixProduct& p = work.products.at(0).product;
    return std::vector<int64_t>{p.count, p.m, p.n, p.k};
  };
  KernelWork work = work_of(matmul, GradTarget{&c, false}, a, false, b, false);
  EXPECT_EQ(shape(work), (std::vector<int64_t>{2, 3, 5, 4}));
  EXPECT_EQ(work.flops(), 2 * 2 * 3 * 5 * 4);
  EXPECT_EQ(work.bytes, 4 * (24 + 40 + 30));
  // One b for every a: one product of 6 rows. What is added to is read and written.
  work = work_of(matmul, GradTarget{&c, true}, a, false, one_b, true);
  EXPECT_EQ(shape(work), (std::vector<int64_t>{1, 6, 5, 4}));
  EXPECT_EQ(work.bytes, 4 * (24 + 20 + 2 * 30));
  // Summed over the leading dimension: further rows of the inner one.
  work = work_of(matmul, GradTarget{&sum, false}, a, true, d, false);
  EXPECT_EQ(shape(work), (std::vector<int64_t>{1, 4, 7, 6}));
  EXPECT_TRUE(work_of(matmul, GradTarget(), a, false, b, false).products.empty());
}

}  // namespace
}  // namespace folio
