#include "folio/run/text_identity.h"

#include <optional>
#include <string_view>
#include <system_error>

#include "folio/data/corpus.h"
#include "folio/data/prepared_text.h"
#include "folio/data/synthetic.h"
#include "folio/io/checksum.h"
#include "folio/io/files.h"
#include "folio/io/json.h"
#include "folio/io/output.h"
#include "folio/tensor/error.h"

namespace folio {
namespace fs = std::filesystem;

TextIdentity identify_text(const std::string& text) {
  if (text == synthetic_name) return {text, 0, hash_of(text)};
  const fs::path path = fs::absolute(find_text(text, "data.text")).lexically_normal();
  if (is_prepared(path)) {
    const PreparedFacts facts = read_prepared_facts(path);
    return {(path / "").parent_path(), facts.bytes,  // without a slash at its end
            hash_of(hexadecimal(facts.stamp.checksum) + " " + facts.tokenizer_hash)};
  }
  const std::string content = read_file(path);
  return {path, static_cast<int64_t>(content.size()), hash_of(content)};
}

std::string to_json(const TextIdentity& identity) {
  const Json json = {
      {"path", identity.path.string()}, {"bytes", identity.bytes}, {"fnv1a64", identity.hash}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

TextIdentity read_text_identity(const fs::path& run) {
  constexpr std::string_view remedy = "it should hold path, bytes and fnv1a64 of the run's text";
  const std::string path = run / "text.json";
  const std::optional<Json> json = parse_json(read_file(path));
  if (!json) fail(path, "is damaged", remedy);
  const JsonObject object(*json, path, remedy);
  return {object.text("path"), object.integer("bytes"), object.text("fnv1a64")};
}

TextIdentity find_run_text(const fs::path& run, const Config& config) {
  const TextIdentity wanted = read_text_identity(run);
  std::error_code ignored;
  std::string text = wanted.path.string();
  if (!fs::is_regular_file(wanted.path, ignored) && !is_prepared(wanted.path)) {
    text = config.data.text;
    const TextSearch search = text == synthetic_name ? TextSearch{text, ""} : search_text(text);
    FOLIO_CHECK(!search.path.empty(), run.string(),
                "the text of this run, {} bytes, is no longer at {} ({})", grouped(wanted.bytes),
                wanted.path.string(), search.why_not);
  }
  const TextIdentity found = identify_text(text);
  FOLIO_CHECK(found.same_text(wanted), run.string(),
              "{} is no longer the text of this run: it has {} bytes and hash {} instead of {} and "
              "{}; restore the old text",
              found.path.string(), grouped(found.bytes), found.hash, grouped(wanted.bytes),
              wanted.hash);
  return found;
}

}  // namespace folio
