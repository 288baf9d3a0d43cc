#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "folio/kernels/process.h"

namespace folio {
namespace {

/// FOLIO_ISA holds for the tests too that call a kernel without asking for the table.
struct ChosenFirst : testing::Environment {
  void SetUp() override { instruction_set(); }
};
[[maybe_unused]] const auto* const chosen_first =
    testing::AddGlobalTestEnvironment(new ChosenFirst);

TEST(InstructionSet, IsWhatWasForced) {
  const InstructionSet& set = instruction_set();
  const char* variable = std::getenv("FOLIO_ISA");
  const std::string limit = variable == nullptr ? "" : variable;
  EXPECT_EQ(set.limit, limit);
  EXPECT_THAT(set.describe(), testing::StartsWith(set.vectors + " kernels"));
  EXPECT_THAT(set.describe(), testing::HasSubstr(set.products));
  if (limit.empty()) return;
  const std::map<std::string, std::pair<std::string, std::string>> expected = {
      {"sse2", {"SSE2", "SSE4.1"}}, {"avx2", {"AVX2", "AVX2"}}, {"avx512", {"AVX-512", "AVX-512"}}};
  EXPECT_THAT(set.vectors, testing::StartsWith(expected.at(limit).first));
  if (set.products.starts_with("oneDNN")) {
    EXPECT_THAT(set.products, testing::HasSubstr(expected.at(limit).second));
  }
}

}  // namespace
}  // namespace folio
