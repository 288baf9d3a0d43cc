#include "folio/data/tokenizer_file.h"

#include <cstdint>

#include "folio/io/files.h"

namespace folio {

std::unique_ptr<Tokenizer> read_tokenizer(const std::filesystem::path& path) {
  constexpr uint64_t most_bytes = uint64_t{1} << 28;
  return tokenizer_from_json(read_file(path, most_bytes), path.string());
}

}  // namespace folio
