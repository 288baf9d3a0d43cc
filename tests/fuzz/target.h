// What a fuzzing target is. A new one: a file NAME_target.cpp here, and its line in targets.cpp.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace folio {

/// A bound on the memory that an input may take: bytes an input byte, and bytes besides.
struct MemoryBound {
  size_t per_byte = 0;
  size_t fixed = 0;

  size_t of(size_t input_bytes) const { return input_bytes * per_byte + fixed; }
};

struct FuzzTarget {
  std::string name;
  MemoryBound memory;
  std::vector<std::string> corpus;      // inputs that are accepted, to be mutated
  std::vector<std::string> dictionary;  // words of the format
  /// Works on one input. May throw folio::Error, and nothing else.
  void (*run)(std::string_view input) = nullptr;
  /// Where damage is found out by a length or checksum: mends it, so that what lies behind it is
  /// reached too. Half of the inputs pass through it.
  std::string (*mend)(std::string input) = nullptr;
};

FuzzTarget config_target();
FuzzTarget metrics_target();
FuzzTarget safetensors_header_target();
FuzzTarget safetensors_target();
FuzzTarget state_target();
FuzzTarget text_target();
FuzzTarget tokenizer_target();

/// All of them.
const std::vector<FuzzTarget>& fuzz_targets();

/// Targets with one fault each, to show that the fault would be noticed.
const std::vector<FuzzTarget>& faulty_targets();

/// Throws std::logic_error, which the driver reports as a failure.
void expect(bool condition, std::string_view what);

}  // namespace folio
