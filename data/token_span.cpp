#include "folio/data/token_span.h"

#include <algorithm>

#include "folio/tensor/error.h"

namespace folio {

void TokenSpan::check_range(size_t begin, size_t count) const {
  FOLIO_CHECK(begin <= size_ && count <= size_ - begin, "tokens",
              "{} from token {} on were asked for; there are {}", count, begin, size_);
}

TokenSpan TokenSpan::checked(int64_t vocabulary) const {
  TokenSpan result = *this;
  result.vocabulary_ = vocabulary;
  return result;
}

int32_t TokenSpan::operator[](size_t index) const {
  int32_t token = 0;
  copy(index, 1, &token);
  return token;
}

TokenSpan TokenSpan::subspan(size_t begin, size_t count) const {
  check_range(begin, count);
  TokenSpan part = *this;
  part.size_ = count;
  part.data_ = static_cast<const char*>(data_) + begin * (narrow_ ? 2 : 4);
  return part;
}

void TokenSpan::copy(size_t begin, size_t count, int32_t* to) const {
  check_range(begin, count);
  if (narrow_) {
    std::copy_n(static_cast<const uint16_t*>(data_) + begin, count, to);
  } else {
    std::copy_n(static_cast<const int32_t*>(data_) + begin, count, to);
  }
  if (vocabulary_ == 0) return;
  for (size_t i = 0; i < count; ++i) {
    FOLIO_CHECK(
        to[i] >= 0 && to[i] < vocabulary_, "tokens",
        "one is {}, but they should be 0 to {}: tokens.bin is damaged; prepare the text again",
        to[i], vocabulary_ - 1);
  }
}

std::vector<int32_t> TokenSpan::to_vector() const {
  std::vector<int32_t> tokens(size_);
  copy(0, size_, tokens.data());
  return tokens;
}

}  // namespace folio
