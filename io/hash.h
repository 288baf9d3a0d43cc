// A short hash that tells texts apart; no protection against those who want two to agree.
#pragma once

#include <string>
#include <string_view>

namespace folio {

/// 16 hexadecimal digits: FNV-1a, 64 bits, of the bytes.
std::string hash_of(std::string_view text);

}  // namespace folio
