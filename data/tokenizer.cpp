#include "folio/data/tokenizer.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "folio/data/bpe_huggingface.h"
#include "folio/data/synthetic.h"
#include "folio/io/checksum.h"
#include "folio/io/files.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using Json = nlohmann::json;

constexpr std::string_view advice =
    "the file is damaged or from another program; take it from an undamaged checkpoint";

const Json& member(const Json& object, const char* key, std::string_view where) {
  const auto found = object.find(key);
  FOLIO_CHECK(found != object.end(), where, "the tokenizer has no \"{}\"; {}", key, advice);
  return *found;
}

const std::string& string_member(const Json& object, const char* key, std::string_view where) {
  const Json& value = member(object, key, where);
  FOLIO_CHECK(value.is_string(), where, "\"{}\" of the tokenizer is not text; {}", key, advice);
  return value.get_ref<const std::string&>();
}

std::vector<char32_t> read_characters(const Json& list, std::string_view where) {
  FOLIO_CHECK(list.is_array() && !list.empty(), where,
              "\"characters\" of the tokenizer is not a list of code points; {}", advice);
  std::vector<char32_t> characters;
  characters.reserve(list.size());
  for (const Json& entry : list) {
    const size_t index = characters.size();
    FOLIO_CHECK(entry.is_number_unsigned(), where,
                "entry {} of \"characters\" is not a whole number of at least 0; {}", index,
                advice);
    const uint64_t code_point = entry.get<uint64_t>();
    FOLIO_CHECK(code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF), where,
                "entry {} of \"characters\" is {}, which is not a Unicode character; {}", index,
                code_point, advice);
    FOLIO_CHECK(index == 0 || characters.back() < code_point, where,
                "entry {} of \"characters\" is {}, not above the entry before it, {}; {}", index,
                code_point, static_cast<uint32_t>(characters.back()), advice);
    characters.push_back(static_cast<char32_t>(code_point));
  }
  return characters;
}

std::unique_ptr<Tokenizer> read_char_tokenizer(const Json& object, std::string_view where) {
  const std::string& unknown = string_member(object, "unknown_character", where);
  FOLIO_CHECK(unknown == "error" || unknown == "replace", where,
              "\"unknown_character\" of the tokenizer is neither \"error\" nor \"replace\"; {}",
              advice);
  return std::make_unique<CharTokenizer>(
      read_characters(member(object, "characters", where), where),
      unknown == "replace" ? UnknownCharacter::replace : UnknownCharacter::error);
}

std::unique_ptr<Tokenizer> read_synthetic_tokenizer(const Json& object, std::string_view where) {
  const Json& vocabulary = member(object, "vocabulary", where);
  FOLIO_CHECK(vocabulary.is_number_unsigned() && vocabulary.get<uint64_t>() >= 1 &&
                  vocabulary.get<uint64_t>() <= INT32_MAX,
              where, "\"vocabulary\" of the tokenizer is not a whole number of at least 1; {}",
              advice);
  return std::make_unique<SyntheticTokenizer>(vocabulary.get<int64_t>());
}

}  // namespace

std::string Tokenizer::hash() const { return hash_of(to_json()); }

std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view json, std::string_view where) {
  Json object;
  try {
    object = Json::parse(json);
  } catch (const Json::parse_error& error) {
    fail(where, fmt::format("not valid JSON at byte {}; {}", error.byte, advice));
  } catch (const Json::exception&) {  // a number is out of range
    fail(where, fmt::format("not valid JSON; {}", advice));
  }
  FOLIO_CHECK(object.is_object(), where, "not a tokenizer: the JSON is not an object; {}", advice);
  if (object.contains("model") && !object.contains("kind")) {
    return bpe_from_huggingface(object, where);
  }
  const std::string& kind = string_member(object, "kind", where);
  if (kind == "char") return read_char_tokenizer(object, where);
  if (kind == synthetic_name) return read_synthetic_tokenizer(object, where);
  fail(where, fmt::format("the tokenizer is of an unknown kind; wanted char, synthetic, or "
                          "Hugging Face's tokenizer.json; {}",
                          advice));
}

std::unique_ptr<Tokenizer> read_tokenizer(const std::filesystem::path& path) {
  constexpr uint64_t most_bytes = uint64_t{1} << 28;
  return tokenizer_from_json(read_file(path, most_bytes), path.string());
}

}  // namespace folio
