#include "folio/run/text_identity.h"

#include <nlohmann/json.hpp>

#include "folio/data/corpus.h"
#include "folio/data/prepared_text.h"
#include "folio/data/synthetic.h"
#include "folio/io/hash.h"
#include "folio/io/output.h"
#include "folio/tensor/error.h"

namespace folio {
namespace fs = std::filesystem;

TextIdentity identify_text(const std::string& text) {
  if (text == synthetic_name) return {text, 0, hash_of(text)};
  const fs::path path = fs::absolute(find_text(text)).lexically_normal();
  if (is_prepared(path)) {
    const PreparedFacts facts = read_prepared_facts(path);
    return {(path / "").parent_path(), facts.bytes,  // without a slash at its end
            hash_of(fmt::format("{:016x} {}", facts.stamp.checksum, facts.tokenizer_hash))};
  }
  const std::string content = read_file(path);
  return {path, static_cast<int64_t>(content.size()), hash_of(content)};
}

std::string to_json(const TextIdentity& identity) {
  const nlohmann::ordered_json json = {
      {"path", identity.path.string()}, {"bytes", identity.bytes}, {"fnv1a64", identity.hash}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

TextIdentity read_text_identity(const fs::path& run) {
  const fs::path path = run / "text.json";
  const std::string content = read_file(path);
  try {
    const auto json = nlohmann::json::parse(content);
    return {json.at("path").get<std::string>(), json.at("bytes").get<int64_t>(),
            json.at("fnv1a64").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    fail(path.string(), "is damaged; it should hold path, bytes and fnv1a64 of the run's text");
  }
}

TextIdentity find_run_text(const fs::path& run, const Config& config) {
  const TextIdentity wanted = read_text_identity(run);
  std::error_code ignored;
  const bool in_place = fs::is_regular_file(wanted.path, ignored) || is_prepared(wanted.path);
  TextIdentity found;
  try {
    found = identify_text(in_place ? wanted.path.string() : config.data.text);
  } catch (const Error& error) {
    fail(run.string(), fmt::format("the text of this run, {} bytes, is gone from {} ({})",
                                   grouped(wanted.bytes), wanted.path.string(), error.what()));
  }
  FOLIO_CHECK(found.same_text(wanted), run.string(),
              "{} is not the text of this run any more: it has {} bytes and hash {}, the run's had "
              "{} and {}; bring the old text back",
              found.path.string(), grouped(found.bytes), found.hash, grouped(wanted.bytes),
              wanted.hash);
  return found;
}

}  // namespace folio
