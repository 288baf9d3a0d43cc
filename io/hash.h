// A short hash that distinguishes texts. It is not cryptographic.
#pragma once

#include <string>
#include <string_view>

namespace folio {

/// The 64-bit FNV-1a hash of the bytes as 16 hexadecimal digits.
std::string hash_of(std::string_view text);

}  // namespace folio
