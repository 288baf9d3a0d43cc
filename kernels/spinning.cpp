#include "folio/kernels/spinning.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace folio {

void shorten_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  // About 10 us, longer than threads of one parallel region usually wait for each other.
  if (::setenv("GOMP_SPINCOUNT", "1000", 0) != 0) return;
  std::error_code unknown;
  // The real path, so that ps and top show the name of the program.
  const auto program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (!unknown) ::execv(program.c_str(), argv);
}

}  // namespace folio
