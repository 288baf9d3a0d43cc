#include "folio/data/corpus.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <utility>

#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view advice =
    "run scripts/get_data, which finds or makes a text, or give the path of a text of your own";

// The value of an environment variable; empty if it is not set.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path cache_directory() {
  constexpr std::array<std::pair<const char*, const char*>, 3> places = {
      {{"FOLIO_CACHE_DIR", ""}, {"XDG_CACHE_HOME", "folio"}, {"HOME", ".cache/folio"}}};
  for (const auto& [name, folder] : places) {
    const fs::path path = environment(name);
    if (!path.empty()) return *folder == '\0' ? path : path / folder;
  }
  return {};
}

// The two texts of scripts/get_data, which also checks their SHA-256. The first is preferred.
struct KnownText {
  std::string_view name;
  uint64_t bytes;
};
constexpr std::array<KnownText, 2> shakespeare = {
    {{"tinyshakespeare.txt", 1'115'394}, {"plays.txt", 4'792'726}}};

// Tries places for a text and records why each was rejected.
class Search {
 public:
  /// If `bytes` is given, the file must have that size; otherwise it is a truncated copy.
  bool found(const fs::path& path, std::optional<uint64_t> bytes = std::nullopt) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    std::string reason = error.message();
    if (fs::is_directory(status)) {
      if (fs::exists(path / prepared_file, error)) return true;
      reason = "a directory that folio prepare has not made";
    } else if (status.type() == fs::file_type::not_found) {
      reason = "not there";
    } else if (fs::exists(status)) {
      const uint64_t size = bytes ? fs::file_size(path, error) : 0;
      if (!bytes || (!error && size == *bytes)) return true;
      reason = error ? error.message() : fmt::format("damaged: {} bytes, not {}", size, *bytes);
    }
    note(fmt::format("{} ({})", path.string(), reason));
    return false;
  }
  void note(const std::string& place) { tried_ += (tried_.empty() ? "" : ", ") + place; }
  const std::string& tried() const { return tried_; }

 private:
  std::string tried_;
};

}  // namespace

TextSearch search_text(const std::string& text) {
  if (text.empty()) return {{}, "no text is given"};
  Search search;
  const fs::path path = text;
  if (text.find('/') != std::string::npos) {
    if (search.found(path)) return {path, ""};
    return {{}, fmt::format("there is no text file {}", search.tried())};
  }
  const bool is_shakespeare = text == "shakespeare";  // not a path: a script has this name
  if (!is_shakespeare && search.found(path)) return {path, ""};
  const fs::path cache = cache_directory();
  const fs::path data = environment("FOLIO_DATA_DIR");
  if (cache.empty()) {
    search.note("the cache (none of $FOLIO_CACHE_DIR, $XDG_CACHE_HOME, $HOME is set)");
  }
  std::vector<fs::path> folders;
  for (const fs::path& folder : {cache, data}) {
    if (!folder.empty()) folders.push_back(folder);
  }
  std::vector<std::pair<std::string, std::optional<uint64_t>>> names;
  if (is_shakespeare) {
    for (const auto& [name, bytes] : shakespeare) names.emplace_back(name, bytes);
  } else {
    names.emplace_back(path.extension() == ".txt" ? text : text + ".txt", std::nullopt);
  }
  for (const auto& [name, bytes] : names) {  // the first name in any folder is preferred
    for (const fs::path& folder : folders) {
      if (search.found(folder / name, bytes)) return {folder / name, ""};
    }
  }
  if (data.empty()) search.note("$FOLIO_DATA_DIR (not set)");
  return {{}, fmt::format("no text named {} was found; tried {}", text, search.tried())};
}

fs::path find_text(const std::string& text, std::string_view where) {
  const TextSearch search = search_text(text);
  if (search.path.empty()) fail(where, search.why_not, advice);
  return search.path;
}

Corpus make_corpus(const fs::path& path, std::string_view text, const Tokenizer& tokenizer,
                   double validation_fraction, int64_t context) {
  FOLIO_CHECK(!text.empty(), path.string(),
              "the text is empty; name a file with text to learn from");
  return split_corpus(path, static_cast<int64_t>(text.size()),
                      tokenizer.encode(text, path.string()), validation_fraction, context);
}

Corpus split_corpus(const fs::path& path, int64_t bytes, std::vector<int32_t> tokens,
                    double validation_fraction, int64_t context) {
  const auto storage = std::make_shared<const std::vector<int32_t>>(std::move(tokens));
  return split_corpus(path, bytes, *storage, storage, validation_fraction, context);
}

Corpus split_corpus(const fs::path& path, int64_t bytes, TokenSpan tokens,
                    std::shared_ptr<const void> storage, double validation_fraction,
                    int64_t context) {
  const std::string where = path.string();
  FOLIO_CHECK(context >= 1, where, "the context is {}; it must be at least 1", context);
  FOLIO_CHECK(validation_fraction >= 0.0 && validation_fraction < 1.0, where,
              "the validation fraction is {}; it must be at least 0 and below 1",
              validation_fraction);
  Corpus corpus;
  corpus.path = path;
  corpus.bytes = bytes;
  corpus.tokens = tokens;
  corpus.storage = std::move(storage);
  const auto total = static_cast<int64_t>(corpus.tokens.size());
  corpus.train_tokens =
      static_cast<int64_t>((1.0 - validation_fraction) * static_cast<double>(total));
  const int64_t needed = context + 1;  // a window and its last target
  const int64_t validation_tokens = total - corpus.train_tokens;
  FOLIO_CHECK(corpus.train_tokens >= needed, where,
              "{} of the text's {} tokens are for training, but a context of {} needs {}; use a "
              "longer text, a smaller context or a smaller validation fraction "
              "(it is {})",
              corpus.train_tokens, total, context, needed, validation_fraction);
  FOLIO_CHECK(validation_fraction == 0.0 || validation_tokens >= needed, where,
              "{} of the text's {} tokens are for validation, but a context of {} needs {}; use a "
              "longer text, a smaller context or a larger validation fraction "
              "(it is {}; 0 trains without validation)",
              validation_tokens, total, context, needed, validation_fraction);
  return corpus;
}

namespace {

/// Calls `take` with consecutive parts of the tokens.
template <class Take>
void for_each_part(TokenSpan tokens, const Take& take) {
  std::vector<int32_t> part;
  for (size_t begin = 0; begin < tokens.size(); begin += part.size()) {
    part.resize(std::min(tokens.size() - begin, size_t{1} << 16));
    tokens.copy(begin, part.size(), part.data());
    take(part);
  }
}

}  // namespace

std::string text_of(const Tokenizer& tokenizer, TokenSpan tokens) {
  std::string text;
  for_each_part(tokens, [&](const auto& part) { text += tokenizer.decode(part); });
  return text;
}

int64_t text_bytes(const Tokenizer& tokenizer, TokenSpan tokens) {
  std::vector<int64_t> bytes(static_cast<size_t>(tokenizer.vocabulary()));
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto token = static_cast<int32_t>(i);
    if (token != tokenizer.end_of_text()) bytes[i] = std::ssize(tokenizer.decode({&token, 1}));
  }
  int64_t total = 0;
  for_each_part(tokens, [&](const auto& part) {
    for (const int32_t token : part) {
      FOLIO_CHECK(token >= 0 && token < tokenizer.vocabulary(), "tokens",
                  "one is {}, but they should be 0 to {}", token, tokenizer.vocabulary() - 1);
      total += bytes[static_cast<size_t>(token)];
    }
  });
  return total;
}

}  // namespace folio
