#include <fmt/core.h>

#include <cstdint>
#include <string>

#include "folio/kernels/process.h"

#ifdef FOLIO_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

#include <array>
#include <cstdlib>
#include <string_view>

#include "folio/tensor/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/instruction_set.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

int64_t this_target() { return HWY_TARGET; }

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio {
namespace cpu {
namespace {

HWY_EXPORT(this_target);

/// The target whose kernels run. Better targets have lower bits.
int64_t vector_target() { return HWY_DYNAMIC_DISPATCH(this_target)(); }

}  // namespace
}  // namespace cpu

namespace {

using cpu::vector_target;

std::string name_of_vectors() {
  const int64_t target = vector_target();
#if HWY_ARCH_X86
  if (target < HWY_AVX2) return "AVX-512";
  // Targets below SSSE3 are Highway's portable code, compiled for baseline x86-64; in Highway 1.0
  // that has no vectors.
  if (target > HWY_SSSE3) return target == HWY_SCALAR ? "SSE2 (no vectors)" : "SSE2";
#endif
  return hwy::TargetName(target);
}

/// The values of FOLIO_ISA, from the lowest, and the limits that each sets.
struct Level {
  std::string_view name;
  int64_t best;  // the best of Highway's targets that is allowed
#ifdef FOLIO_HAVE_ONEDNN
  dnnl_cpu_isa_t products;
#endif
};

#if !HWY_ARCH_X86
constexpr std::array<Level, 0> levels;
#elif defined(FOLIO_HAVE_ONEDNN)
constexpr std::array<Level, 3> levels = {{{"sse2", HWY_SSSE3 << 1, dnnl_cpu_isa_sse41},
                                          {"avx2", HWY_AVX2, dnnl_cpu_isa_avx2},
                                          {"avx512", 1, static_cast<dnnl_cpu_isa_t>(0)}}};
#else
constexpr std::array<Level, 3> levels = {
    {{"sse2", HWY_SSSE3 << 1}, {"avx2", HWY_AVX2}, {"avx512", 1}}};
#endif

/// The number of levels that the CPU has. Every x86-64 CPU has sse2.
size_t available_levels() {
#if HWY_ARCH_X86
  const int64_t target = vector_target();
  return target < HWY_AVX2 ? 3 : target == HWY_AVX2 ? 2 : 1;
#else
  return 0;
#endif
}

std::string joined(size_t count) {
  std::string names;
  for (size_t i = 0; i < count; ++i) {
    names.append(i == 0 ? "" : i + 1 == count ? " or " : ", ").append(levels[i].name);
  }
  return names;
}

void apply_limit(std::string_view limit) {
  constexpr std::string_view where = "FOLIO_ISA";
  FOLIO_CHECK(!levels.empty(), where, "is {}, but this kind of CPU only has {}; unset it", limit,
              name_of_vectors());
  size_t i = 0;
  while (i < levels.size() && levels[i].name != limit) ++i;
  FOLIO_CHECK(i < levels.size(), where, "is {}; it can be {}, or unset to use the best available",
              limit, joined(levels.size()));
  const size_t available = available_levels();
  FOLIO_CHECK(i < available, where, "is {}, which this CPU does not have; it can be {}, or unset",
              limit, joined(available));
  hwy::DisableTargets(levels[i].best - 1);
  // Set again, because SupportedTargets() of Highway 1.0 chooses a target without regard to the
  // limit.
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
#ifdef FOLIO_HAVE_ONEDNN
  if (levels[i].products == 0) return;
  FOLIO_CHECK(dnnl_set_max_cpu_isa(levels[i].products) == dnnl_success, where,
              "is {}, but this oneDNN does not take limits; unset it", limit);
#endif
}

std::string name_of_products() {
#ifdef FOLIO_HAVE_ONEDNN
  // An instruction set includes another one if it has all of its bits. This holds for oneDNN 2 and
  // 3.
  const auto isa = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
  const auto has = [isa](dnnl_cpu_isa_t part) {
    return (isa & part) == static_cast<unsigned>(part);
  };
  const char* name = has(dnnl_cpu_isa_avx512_core_amx)    ? "AMX"
                     : has(dnnl_cpu_isa_avx512_core_bf16) ? "AVX-512 with bf16"
                     : has(dnnl_cpu_isa_avx512_core)      ? "AVX-512"
                     : has(dnnl_cpu_isa_avx2)             ? "AVX2"
                     : has(dnnl_cpu_isa_avx)              ? "AVX"
                     : has(dnnl_cpu_isa_sse41)            ? "SSE4.1"
                                                          : "portable";
  const dnnl_version_t& version = *dnnl_version();
  return fmt::format("oneDNN {}.{}.{} ({})", version.major, version.minor, version.patch, name);
#elif HWY_ARCH_X86
  return "Eigen (SSE2)";
#else
  return "Eigen";
#endif
}

InstructionSet choose() {
  const char* variable = std::getenv("FOLIO_ISA");
  const std::string limit = variable == nullptr ? "" : variable;
  if (!limit.empty()) apply_limit(limit);
  return {name_of_vectors(), name_of_products(), limit};
}

}  // namespace

std::string InstructionSet::describe() const {
  return fmt::format("{} kernels, matrix products by {}{}", vectors, products,
                     limit.empty() ? "" : fmt::format(", as FOLIO_ISA={} asks", limit));
}

const InstructionSet& instruction_set() {
  static const InstructionSet chosen = choose();
  return chosen;
}

}  // namespace folio
#endif
