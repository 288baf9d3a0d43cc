#include "folio/kernels/cpu/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "folio/kernels/process.h"

namespace folio::cpu {
namespace {

TEST(ParallelFor, RethrowsTheExceptionOfAPiece) {
  const int before = threads();
  for (int count : {1, 3}) {
    set_threads(count);
    std::atomic<int64_t> done = 0;
    try {
      parallel_for(100, 1, [&](int64_t begin, int64_t end) {
        if (begin == 50) throw std::runtime_error("piece 50");
        done += end - begin;
      });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), std::string("piece 50"));
    }
    EXPECT_EQ(done, 99);  // the other pieces are finished
  }
  set_threads(before);
}

}  // namespace
}  // namespace folio::cpu
