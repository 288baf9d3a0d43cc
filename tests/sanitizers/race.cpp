// A loop over OpenMP's threads that is clean, or with the argument "racy" is not: ThreadSanitizer
// must stay silent about the first and report the second.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <vector>

#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/process.h"

int main(int argc, char** argv) {
  constexpr int64_t count = 1000, rounds = 20;
  const bool racy = argc > 1 && std::strcmp(argv[1], "racy") == 0;
  folio::set_threads(2);  // also where there is one core
  int64_t sum = 0;
  std::vector<int64_t> pieces(count);
  for (int64_t round = 0; round < rounds; ++round) {
    // What one loop writes, the next and the code between them read, in other threads too.
    folio::cpu::parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        pieces[count - 1 - i] += i;
        if (racy) sum += i;
      }
    });
    folio::cpu::parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) pieces[i] += 1;
    });
    if (!racy) sum += std::accumulate(pieces.begin(), pieces.end(), int64_t{0});
  }
  std::printf("sum %lld\n", static_cast<long long>(sum));
}
