#include "folio/run/checkpoint_state.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "folio/io/version.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view advice =
    "use another of the run with --checkpoint N (folio verify RUN says which are whole)";
constexpr uint64_t most_bytes = 1 << 20;
constexpr int most_depth = 3;

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

std::string hexadecimal(uint64_t value) { return fmt::format("{:016x}", value); }

// What follows the text that the checksum covers.
std::string closing(std::string_view covered) {
  Checksum checksum;
  checksum.add(covered.data(), covered.size());
  return fmt::format(",\n  \"checksum\": \"{}\"\n}}\n", hexadecimal(checksum.value()));
}

// The members of state.json, each checked for its type.
class Members {
 public:
  Members(const Json& object, std::string_view where) : object_(object), where_(where) {
    FOLIO_CHECK(object.is_object(), where, "an object is missing; {}", advice);
  }

  const Json& get(const std::string& key) const {
    const auto found = object_.find(key);
    FOLIO_CHECK(found != object_.end(), where_, "\"{}\" is missing; {}", key, advice);
    return *found;
  }
  int64_t integer(const std::string& key) const {
    const Json& value = get(key);
    const bool fits = value.is_number_integer() &&
                      !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
    FOLIO_CHECK(fits, where_, "\"{}\" is not a whole number; {}", key, advice);
    return value.get<int64_t>();
  }
  double number_or(const std::string& key, double if_null) const {
    const Json& value = get(key);
    if (value.is_null()) return if_null;
    FOLIO_CHECK(value.is_number(), where_, "\"{}\" is not a number; {}", key, advice);
    return value.get<double>();
  }
  std::vector<double> numbers(const std::string& key) const {
    const Json& value = get(key);
    const bool fits =
        value.is_array() && std::ranges::all_of(value, [](const Json& x) { return x.is_number(); });
    FOLIO_CHECK(fits, where_, "\"{}\" is not a list of numbers; {}", key, advice);
    return value.get<std::vector<double>>();
  }
  std::string text(const std::string& key) const {
    const Json& value = get(key);
    FOLIO_CHECK(value.is_string(), where_, "\"{}\" is not text; {}", key, advice);
    return value.get<std::string>();
  }

 private:
  const Json& object_;
  std::string_view where_;
};

Json parse(std::string_view json, std::string_view where) {
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    FOLIO_CHECK(depth <= most_depth, where, "nested too deep; {}", advice);
    return true;
  };
  try {
    return Json::parse(json, shallow);
  } catch (const Json::exception&) {
    fail(where, fmt::format("not valid JSON; {}", advice));
  }
}

}  // namespace

std::string to_json(const CheckpointState& state) {
  Json files = Json::object();
  for (const auto& [name, stamp] : state.files) {
    files[name] = {{"bytes", stamp.bytes}, {"checksum", hexadecimal(stamp.checksum)}};
  }
  const Json object = {
      {"folio", folio_version()},
      {"step", state.progress.step},
      {"samples_drawn", state.progress.samples},
      {"validation_loss", finite_or_null(state.progress.validation_loss)},
      {"best_validation_loss", finite_or_null(state.progress.best_validation_loss)},
      {"best_step", state.progress.best_step},
      {"skips", state.progress.skips},
      {"accepted_norms", state.progress.accepted_norms},
      {"tokenizer_hash", state.tokenizer_hash},
      {"files", files},
  };
  std::string text = object.dump(2);
  text.resize(text.size() - std::string_view("\n}").size());
  return text + closing(text);
}

CheckpointState state_from_json(std::string_view json, std::string_view where) {
  // The text itself is covered, not what it means: 1e5 instead of 1E5 is damage too.
  const size_t closing_bytes = closing("").size();
  const std::string_view covered =
      json.substr(0, json.size() - std::min(json.size(), closing_bytes));
  FOLIO_CHECK(json.substr(covered.size()) == closing(covered), where,
              "damaged: its checksum does not fit its content (is it truncated?); {}", advice);

  const Json object = parse(json, where);
  const Members members(object, where);
  CheckpointState state;
  Progress& progress = state.progress;
  progress.step = members.integer("step");
  progress.samples = members.integer("samples_drawn");
  progress.validation_loss = members.number_or("validation_loss", progress.validation_loss);
  progress.best_validation_loss =
      members.number_or("best_validation_loss", progress.best_validation_loss);
  progress.best_step = members.integer("best_step");
  FOLIO_CHECK(progress.step >= 0, where, "\"step\" is {}; {}", progress.step, advice);
  // Absent from checkpoints of before there were skips.
  if (object.contains("skips")) progress.skips = members.integer("skips");
  if (object.contains("accepted_norms"))
    progress.accepted_norms = members.numbers("accepted_norms");
  FOLIO_CHECK(progress.skips >= 0, where, "\"skips\" is {}; {}", progress.skips, advice);
  FOLIO_CHECK(progress.samples >= 0, where, "\"samples_drawn\" is {}; {}", progress.samples,
              advice);
  state.tokenizer_hash = members.text("tokenizer_hash");
  const Json& files = members.get("files");
  FOLIO_CHECK(files.is_object(), where, "\"files\" is not an object; {}", advice);
  for (const auto& [name, entry] : files.items()) {
    // A name that leads out of the directory is not ours.
    FOLIO_CHECK(!name.empty() && name != "." && name != ".." && name.find('/') == name.npos, where,
                "\"files\" names \"{}\", which is no file of a checkpoint; {}", name, advice);
    const Members file(entry, where);
    FileStamp stamp;
    const int64_t bytes = file.integer("bytes");
    const std::string checksum = file.text("checksum");
    stamp.checksum = std::strtoull(checksum.c_str(), nullptr, 16);
    FOLIO_CHECK(bytes >= 0 && hexadecimal(stamp.checksum) == checksum, where,
                "bytes or checksum of \"{}\" are impossible; {}", name, advice);
    stamp.bytes = static_cast<uint64_t>(bytes);
    state.files[name] = stamp;
  }
  return state;
}

CheckpointState read_state(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "state.json";
  return state_from_json(read_whole(path, most_bytes), path.string());
}

void verify_file(const std::filesystem::path& directory, const CheckpointState& state,
                 const std::string& name) {
  const std::string path = (directory / name).string();
  const auto found = state.files.find(name);
  FOLIO_CHECK(found != state.files.end(), path, "state.json does not name this file; {}", advice);
  const auto& [bytes, checksum] = found->second;
  const FileStamp stamp = stamp_of(path);
  FOLIO_CHECK(stamp.bytes == bytes, path,
              "damaged: it has {} bytes but state.json says {} (is it truncated?); {}", stamp.bytes,
              bytes, advice);
  FOLIO_CHECK(stamp.checksum == checksum, path,
              "damaged: its checksum is {} but state.json says {}; {}", hexadecimal(stamp.checksum),
              hexadecimal(checksum), advice);
}

}  // namespace folio
