// folio profile on a GPU: the counts are those of a CPU, and every op has a time and its limits.
#include "folio/inspect/profile.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/run_fixture.h"

namespace folio {
namespace {

using testing::HasSubstr;

class GpuProfile : public RunTest {
 protected:
  Profile profile_on(const char* device, std::vector<std::string> overrides = {}) const {
    overrides.push_back(std::string("train.device=").append(device));
    return profile(tiny_config(text_, overrides), 1);
  }

  static std::vector<ProfileRow> by_name(Profile profile) {
    std::ranges::sort(profile.rows, {}, [](const ProfileRow& row) { return row.name + row.pass; });
    return profile.rows;
  }
};

TEST_F(GpuProfile, CountsWhatTheCpuCounts) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"train.precision=bf16", "train.accumulate=2"}}) {
    const bool bf16 = !more.empty();
    const Profile gpu = profile_on("cuda", more);
    const Profile cpu = profile_on(
        "cpu", bf16 ? std::vector<std::string>{"train.accumulate=2"} : std::vector<std::string>{});
    const auto a = by_name(gpu), b = by_name(cpu);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      SCOPED_TRACE(a[i].name + " " + a[i].pass);
      EXPECT_EQ(a[i].name, b[i].name);
      EXPECT_EQ(a[i].pass, b[i].pass);
      EXPECT_EQ(a[i].calls, b[i].calls);
      EXPECT_DOUBLE_EQ(a[i].flops, b[i].flops);
      if (bf16) continue;  // half the bytes, more or less
      // The GPU's optimizer also looks whether loss and norm are finite: three kernels of scalars.
      EXPECT_NEAR(a[i].bytes, b[i].bytes, a[i].name == "optimizer" ? 64.0 : 0.0);
    }
    EXPECT_DOUBLE_EQ(gpu.flops(), gpu.planned_flops);
    EXPECT_DOUBLE_EQ(gpu.planned_flops, cpu.planned_flops);
    EXPECT_EQ(gpu.rows.back().name, "optimizer");
  }
}

TEST_F(GpuProfile, EveryOpHasItsTimeAndLimits) {
  const Profile result = profile_on("cuda");
  EXPECT_EQ(result.device, Device::cuda);
  double products = 0.0;
  for (const ProfileRow& row : result.rows) {
    SCOPED_TRACE(row.name + " " + row.pass);
    EXPECT_GT(row.seconds, 0.0);
    EXPECT_GT(row.copy_seconds, 0.0);
    EXPECT_EQ(row.product_seconds > 0.0, row.flops > 0.0);
    products += row.product_seconds;
    EXPECT_THAT(to_table(result), HasSubstr(row.name + " " + row.pass));
  }
  EXPECT_NEAR(products, result.product_seconds, 1e-12);
  EXPECT_GT(result.plain_seconds, 0.0);
  EXPECT_THAT(to_table(result),
              testing::AllOf(HasSubstr("compute capability"), HasSubstr("by cuBLASLt"),
                             HasSubstr("GPU's own clock")));
  const auto json = nlohmann::json::parse(to_json(result));
  EXPECT_EQ(json.at("device"), "cuda");
  EXPECT_EQ(json.at("ops").size(), result.rows.size());
}

}  // namespace
}  // namespace folio
