#include "folio/comm/communicator.h"

#include <algorithm>
#include <cstring>

#include "folio/tensor/error.h"

namespace folio {
namespace {

// Text is sent as the bytes of i32 elements.
int64_t words_of(int64_t characters) { return (characters + 3) / 4; }

Tensor integers(int64_t count) { return Tensor({count}, DType::i32); }

}  // namespace

SlabRange Parts::of(int rank) const {
  const int64_t units = (count + unit - 1) / unit;
  const auto begin = [&](int r) { return std::min(count, units * r / ranks * unit); };
  return {begin(rank), begin(rank + 1)};
}

void Communicator::all_reduce(const Tensor& x) {
  const Tensor flat = x.reshape({x.numel()});
  const Parts parts{.count = x.numel(), .ranks = size()};
  const SlabRange own = parts.of(rank());
  const Tensor sum = flat.view(own.begin, {own.size()});
  start_reduce_scatter({&sum, false}, flat, parts, size())->wait();
  all_gather(flat, parts);
}

bool Communicator::any(bool here) {
  const Tensor flags = integers(size());
  flags.data<int32_t>()[rank()] = here ? 1 : 0;
  all_gather(flags, {.count = size(), .ranks = size()});
  const int32_t* all = flags.data<int32_t>();
  return std::any_of(all, all + size(), [](int32_t flag) { return flag != 0; });
}

std::string Communicator::broadcast_text(std::string text) {
  const Tensor length = integers(1);
  FOLIO_CHECK(text.size() <= INT32_MAX, "broadcast", "a text of {} bytes is too long; at most {}",
              text.size(), INT32_MAX);
  *length.data<int32_t>() = static_cast<int32_t>(text.size());
  broadcast(length);
  text.resize(static_cast<size_t>(*length.data<int32_t>()));
  const Tensor words = integers(words_of(std::ssize(text)));
  std::memcpy(words.raw(), text.data(), text.size());
  broadcast(words);
  std::memcpy(text.data(), words.raw(), text.size());
  return text;
}

std::vector<std::string> Communicator::all_gather_text(const std::string& text) {
  const Tensor lengths = integers(size());
  lengths.data<int32_t>()[rank()] = static_cast<int32_t>(text.size());
  all_gather(lengths, {.count = size(), .ranks = size()});
  const int32_t* length = lengths.data<int32_t>();
  const int64_t words = words_of(*std::max_element(length, length + size()));
  const Tensor all = integers(size() * words);
  std::memcpy(all.data<int32_t>() + rank() * words, text.data(), text.size());
  all_gather(all, {.count = all.numel(), .ranks = size()});
  std::vector<std::string> texts;
  for (int r = 0; r < size(); ++r) {
    const auto* characters = reinterpret_cast<const char*>(all.data<int32_t>() + r * words);
    texts.emplace_back(characters, static_cast<size_t>(length[r]));
  }
  return texts;
}

void Communicator::wait_for_abort() {
  set_timeout(0.0, "");
  for (;;) barrier();
}

}  // namespace folio
