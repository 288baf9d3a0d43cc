#include <csignal>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "folio/tensor/error.h"
#include "folio/tensor/tensor.h"
#include "fuzz/target.h"

namespace folio {
namespace {

// What optimisers must not see through.
volatile int zero = 0;
char* volatile lost = nullptr;

int endless(int depth) {
  volatile char frame[1024] = {};
  if (depth < zero) return 0;
  return endless(depth + 1) + frame[depth % 1024];
}

FuzzTarget faulty(const char* name, void (*fault)(std::string_view)) {
  FuzzTarget target;
  target.name = name;
  target.memory = {64, 1 << 20};
  target.corpus = {"harmless", "fault"};
  target.dictionary = {"fault"};
  target.run = fault;
  return target;
}

}  // namespace

const std::vector<FuzzTarget>& faulty_targets() {
  // Captureless, so that they are plain functions; each is harmless for any other input.
  static const std::vector<FuzzTarget> targets = {
      faulty("faulty_signal",
             [](std::string_view input) {
               if (input == "fault") std::raise(SIGSEGV);
             }),
      faulty("faulty_stack",
             [](std::string_view input) {
               if (input == "fault") endless(0);
             }),
      faulty("faulty_exception",
             [](std::string_view input) {
               if (input == "fault") throw std::runtime_error("not ours");
             }),
      faulty("faulty_hang",
             [](std::string_view input) {
               while (input == "fault" && zero == 0) continue;
             }),
      faulty("faulty_memory",
             [](std::string_view input) {
               if (input == "fault") std::vector<char>(2 << 20);
             }),
      faulty("faulty_huge_size",
             [](std::string_view input) {
               try {  // a parser that hides it
                 if (input == "fault") std::vector<char>(size_t{1} << 40);
               } catch (const std::bad_alloc&) {
                 fail("faulty", "out of memory");
               }
             }),
      faulty("faulty_tensor",
             [](std::string_view input) {
               if (input == "fault") Tensor({1 << 20}, DType::f32);
             }),
      // These need sanitizers to be seen.
      faulty("faulty_overrun",
             [](std::string_view input) {
               const std::vector<char> copy(input.begin(), input.end());
               if (input == "fault")
                 lost = const_cast<char*>(copy.data() + copy.data()[copy.size() + zero]);
             }),
      faulty("faulty_shift",
             [](std::string_view input) {
               if (input == "fault") zero = zero + (1 << (32 + zero)) * 0;
             }),
      faulty("faulty_leak",
             [](std::string_view input) {
               if (input != "fault") return;
               lost = new char[100];
               lost = nullptr;
             }),
  };
  return targets;
}

}  // namespace folio
