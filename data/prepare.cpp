// folio prepare: tokenizes texts into a directory.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <vector>

#include "folio/data/bpe_tokenizer.h"
#include "folio/data/corpus.h"
#include "folio/data/gpt2_words.h"
#include "folio/data/prepared_text.h"
#include "folio/data/tokenizer.h"
#include "folio/io/json.h"
#include "folio/io/mapped_file.h"
#include "folio/io/output.h"
#include "folio/io/pending_directory.h"
#include "folio/io/stop_signal.h"
#include "folio/io/version.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr size_t piece_bytes = size_t{8} << 20;
constexpr unsigned most_threads = 16;
constexpr size_t most_learned_from = size_t{1} << 30;  // bytes

/// A part of a text that can be encoded independently.
struct Piece {
  std::string_view text;
  std::string where;  // for messages
  bool ends_text = false;
};

/// The texts, split into pieces.
class Texts {
 public:
  explicit Texts(const std::vector<fs::path>& paths) {
    FOLIO_CHECK(!paths.empty(), "prepare", "no text is given; name at least one");
    for (const fs::path& path : paths) {
      files_.push_back(std::make_unique<MappedFile>(path));
      std::string_view rest = files_.back()->text();
      FOLIO_CHECK(!rest.empty(), path.string(), "the text is empty; leave it out");
      bytes_ += rest.size();
      for (size_t begin = 0; !rest.empty();) {
        const std::string_view piece = words_up_to(rest, piece_bytes);
        rest.remove_prefix(piece.size());
        pieces_.push_back(
            {piece,
             begin == 0 ? path.string() : fmt::format("{} from byte {} on", path.string(), begin),
             rest.empty()});
        begin += piece.size();
      }
    }
  }

  size_t bytes() const { return bytes_; }
  const std::vector<Piece>& pieces() const { return pieces_; }

  /// Calls `work` for the pieces in parallel and `take` with the results in order. Prints the
  /// progress every five seconds.
  template <class Work, class Take>
  static void for_each(const std::vector<Piece>& pieces, const char* name, const Work& work,
                       const Take& take) {
    size_t total = 0, done = 0;
    for (const Piece& piece : pieces) total += piece.text.size();
    auto printed = Clock::now();
    const size_t threads = std::clamp(std::thread::hardware_concurrency(), 1u, most_threads);
    const StopSignal stop(/*tells=*/false);
    for (size_t begin = 0; begin < pieces.size(); begin += threads) {
      FOLIO_CHECK(!stop.requested(), "prepare", "stopped by a signal; nothing was written");
      const size_t end = std::min(pieces.size(), begin + threads);
      std::vector<std::future<decltype(work(pieces[0]))>> results;
      for (size_t i = begin; i < end; ++i) {
        results.push_back(std::async(std::launch::async, [&, i] { return work(pieces[i]); }));
      }
      for (size_t i = begin; i < end; ++i) {
        take(results[i - begin].get(), pieces[i]);
        done += pieces[i].text.size();
        if (Clock::now() - printed < std::chrono::seconds(5) || done == total) continue;
        printed = Clock::now();
        print(fmt::format("{}  {:.0f}%\n", name,
                          100.0 * static_cast<double>(done) / static_cast<double>(total)));
      }
    }
  }

 private:
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::vector<Piece> pieces_;
  size_t bytes_ = 0;
};

std::unique_ptr<Tokenizer> learn_bpe(const Texts& texts, int64_t vocabulary) {
  // Every n-th piece if there are too many.
  const size_t every = (texts.bytes() + most_learned_from - 1) / most_learned_from;
  std::vector<Piece> pieces;
  size_t bytes = 0;
  for (size_t i = 0; i < texts.pieces().size(); i += every) {
    pieces.push_back(texts.pieces()[i]);
    bytes += pieces.back().text.size();
  }
  print(fmt::format("learning up to {} tokens from {} bytes\n", grouped(vocabulary),
                    grouped(static_cast<int64_t>(bytes))));
  using Counts = std::unordered_map<std::string, int64_t>;
  Counts all;
  Texts::for_each(
      pieces, "counting words",
      [](const Piece& piece) {
        Counts counts;
        BpeTokenizer::count_words(counts, piece.text, piece.where);
        return counts;
      },
      [&all](Counts counts, const Piece&) {
        for (const auto& [word, count] : counts) all[word] += count;
      });
  auto tokenizer = BpeTokenizer::learn(all, vocabulary);
  if (tokenizer->vocabulary() < vocabulary) {
    print(fmt::format("note    {} tokens, not {}: no further pair occurs twice\n",
                      grouped(tokenizer->vocabulary()), grouped(vocabulary)));
  }
  return tokenizer;
}

std::unique_ptr<Tokenizer> make_tokenizer(const PrepareOptions& options, const Texts& texts) {
  if (options.tokenizer == "bpe") return learn_bpe(texts, options.vocabulary);
  if (options.tokenizer == "char") {
    CharacterSet set;
    for (const Piece& piece : texts.pieces()) set.add(piece.text, piece.where);
    return std::make_unique<CharTokenizer>(set.characters(), UnknownCharacter::error);
  }
  const fs::path path = options.tokenizer;
  std::error_code ignored;
  FOLIO_CHECK(fs::is_regular_file(path, ignored), "--tokenizer",
              "{} is neither char nor bpe nor a file; name a tokenizer.json", options.tokenizer);
  return read_tokenizer(path);
}

PreparedFacts write_prepared(const fs::path& directory, const Texts& texts,
                             const PrepareOptions& options, const Tokenizer& tokenizer) {
  FileWriter file(directory / tokens_file);
  const bool is_narrow = token_bytes(tokenizer.vocabulary()) == 2;
  int64_t count = 0;
  const std::optional<int32_t> end_of_text = tokenizer.end_of_text();
  const Piece* last = &texts.pieces().back();
  Texts::for_each(
      texts.pieces(), "encoding",
      [&tokenizer](const Piece& piece) { return tokenizer.encode(piece.text, piece.where); },
      [&](std::vector<int32_t> tokens, const Piece& piece) {
        if (end_of_text && piece.ends_text && &piece != last) tokens.push_back(*end_of_text);
        count += std::ssize(tokens);
        if (is_narrow) {
          const std::vector<uint16_t> narrow(tokens.begin(), tokens.end());
          file.write(narrow.data(), 2 * narrow.size());
        } else {
          file.write(tokens.data(), 4 * tokens.size());
        }
      });
  PreparedFacts facts = {.tokenizer = std::string(tokenizer.kind()),
                         .tokenizer_hash = tokenizer.hash(),
                         .vocabulary = tokenizer.vocabulary(),
                         .tokens = count,
                         .bytes = static_cast<int64_t>(texts.bytes()),
                         .stamp = file.finish()};
  Json names = Json::array();
  for (const fs::path& path : options.texts) names.push_back(fs::absolute(path).string());
  write_durably(directory / tokenizer_file, tokenizer.to_json());
  write_durably(directory / prepared_file,
                sealed_json({{"folio", folio_version()},
                             {"tokenizer", facts.tokenizer},
                             {"vocabulary", facts.vocabulary},
                             {"tokens", facts.tokens},
                             {"bytes", facts.bytes},
                             {"tokens_checksum", hexadecimal(facts.stamp.checksum)},
                             {"tokenizer_hash", facts.tokenizer_hash},
                             {"texts", names}}));
  return facts;
}

}  // namespace

PreparedFacts prepare_text(const PrepareOptions& options) {
  const fs::path out = (fs::absolute(options.out) / "").lexically_normal().parent_path();
  std::error_code ignored;
  FOLIO_CHECK(!options.out.empty(), "prepare", "no directory is given; name a new one with --out");
  const bool is_free = !fs::exists(fs::symlink_status(out, ignored)) ||
                       (fs::is_directory(out, ignored) && fs::is_empty(out, ignored));
  FOLIO_CHECK(is_free, options.out.string(),
              "exists and is not an empty directory; choose another --out");
  const Texts texts(options.texts);
  const auto tokenizer = make_tokenizer(options, texts);
  PendingDirectory pending(out);
  PreparedFacts facts = write_prepared(pending.path(), texts, options, *tokenizer);
  pending.commit();
  return facts;
}

}  // namespace folio
