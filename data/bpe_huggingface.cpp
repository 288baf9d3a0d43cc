#include "folio/data/bpe_huggingface.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "folio/data/gpt2_bytes.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using Json = nlohmann::json;

constexpr std::string_view advice =
    "Folio reads the tokenizer.json of GPT-2 and of others that work as it does (byte-level BPE)";

/// Throws Error unless the member is absent, null, or `wanted`.
void require(const Json& object, const char* key, const Json& wanted, std::string_view where) {
  const auto found = object.find(key);
  FOLIO_CHECK(found == object.end() || found->is_null() || *found == wanted, where,
              "\"{}\" is {}, not {}; {}", key,
              found->dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 100),
              wanted.dump(), advice);
}

const Json& member(const Json& object, const char* key, Json::value_t type,
                   std::string_view where) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  FOLIO_CHECK(found != object.end() && found->type() == type, where,
              "\"{}\" is missing or has another type; {}", key, advice);
  return *found;
}

/// The number of a token in a vocabulary of at most `count` tokens.
int32_t number_of(const Json& value, size_t count, std::string_view where) {
  FOLIO_CHECK(value.is_number_unsigned() && value.get<uint64_t>() < count, where,
              "a token's number is {}, but there are {} tokens, counted from 0; {}",
              value.dump(-1, ' ', true, Json::error_handler_t::replace), count, advice);
  return value.get<int32_t>();
}

std::map<int32_t, std::string> read_special(const Json& file, size_t most, std::string_view where) {
  std::map<int32_t, std::string> special;
  const auto added = file.find("added_tokens");
  if (added == file.end() || added->is_null()) return special;
  FOLIO_CHECK(added->is_array(), where, "\"added_tokens\" is not a list; {}", advice);
  for (const Json& token : *added) {
    const auto& name =
        member(token, "content", Json::value_t::string, where).get_ref<const std::string&>();
    // Tokens that are not special would have to be matched in texts.
    require(token, "special", true, where);
    FOLIO_CHECK(token.contains("id"), where, "an added token has no \"id\"; {}", advice);
    const int32_t number = number_of(token["id"], most + added->size(), where);
    const auto same_name = [&](const auto& entry) { return entry.second == name; };
    FOLIO_CHECK(!special.contains(number) && std::ranges::none_of(special, same_name), where,
                "the added token {} is there twice; {}", number, advice);
    special[number] = name;
  }
  return special;
}

/// A merge is written "left right" or ["left", "right"].
std::pair<std::string, std::string> read_pair(const Json& merge, std::string_view where) {
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != text.npos) return {text.substr(0, space), text.substr(space + 1)};
  }
  const bool is_pair =
      merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
  FOLIO_CHECK(is_pair, where, "an entry of \"merges\" is not a pair of tokens; {}", advice);
  return {merge[0].get<std::string>(), merge[1].get<std::string>()};
}

}  // namespace

std::string BpeTokenizer::to_json() const {
  Json added = Json::array(), vocabulary = Json::object(), merges = Json::array();
  for (const auto& [token, name] : special_) {
    added.push_back({{"id", token},
                     {"content", name},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  for (size_t token = 0; token < bytes_.size(); ++token) {
    const bool special = special_.contains(static_cast<int32_t>(token));
    vocabulary[special ? bytes_[token] : gpt2_characters(bytes_[token])] = token;
  }
  for (const BpeMerge& merge : merges_) {
    merges.push_back(gpt2_characters(bytes_[static_cast<size_t>(merge.left)]) + " " +
                     gpt2_characters(bytes_[static_cast<size_t>(merge.right)]));
  }
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  const Json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", byte_level},
                     {"post_processor", nullptr},
                     {"decoder", byte_level},
                     {"model",
                      {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"vocab", vocabulary},
                       {"merges", merges}}}};
  return file.dump();
}

std::unique_ptr<BpeTokenizer> bpe_from_huggingface(const Json& file, std::string_view where) {
  const Json& model = member(file, "model", Json::value_t::object, where);
  require(model, "type", "BPE", where);
  require(model, "dropout", nullptr, where);
  require(model, "byte_fallback", false, where);
  require(model, "continuing_subword_prefix", "", where);
  require(model, "end_of_word_suffix", "", where);
  require(model, "ignore_merges", false, where);
  require(file, "normalizer", nullptr, where);
  const Json& splitting = member(file, "pre_tokenizer", Json::value_t::object, where);
  require(splitting, "type", "ByteLevel", where);
  require(splitting, "add_prefix_space", false, where);
  require(splitting, "use_regex", true, where);

  const Json& entries = member(model, "vocab", Json::value_t::object, where);
  std::map<int32_t, std::string> special = read_special(file, entries.size(), where);
  size_t count = entries.size();
  for (const auto& [token, name] : special) count += entries.contains(name) ? 0 : 1;
  std::vector<std::string> bytes(count);
  std::vector<bool> taken(count);
  const auto take = [&](int32_t token, std::string text) {
    FOLIO_CHECK(static_cast<size_t>(token) < count && !taken[static_cast<size_t>(token)], where,
                "the token {} is there twice, or another is missing; {}", token, advice);
    taken[static_cast<size_t>(token)] = true;
    bytes[static_cast<size_t>(token)] = std::move(text);
  };
  std::unordered_map<std::string, int32_t> numbers;
  for (const auto& [name, value] : entries.items()) {
    const int32_t token = number_of(value, count, where);
    const auto named = special.find(token);
    if (named != special.end() && named->second == name) continue;
    const auto text = gpt2_bytes(name);
    FOLIO_CHECK(text && !text->empty(), where, "the token {}, \"{}\", is not written as bytes; {}",
                token, name, advice);
    take(token, *text);
    numbers[name] = token;
  }
  for (const auto& [token, name] : special) take(token, name);

  const auto number = [&](const std::string& name) {
    const auto found = numbers.find(name);
    FOLIO_CHECK(found != numbers.end(), where, "\"{}\" is in \"merges\" but no token; {}", name,
                advice);
    return found->second;
  };
  std::vector<BpeMerge> merges;
  for (const Json& merge : member(model, "merges", Json::value_t::array, where)) {
    const auto [left, right] = read_pair(merge, where);
    merges.push_back({number(left), number(right), number(left + right)});
  }
  return std::make_unique<BpeTokenizer>(std::move(bytes), std::move(merges), std::move(special),
                                        where);
}

}  // namespace folio
