#include "folio/io/safetensors_header.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "folio/tensor/error.h"

namespace folio {
namespace {

using Json = nlohmann::json;

// Handles the events of the SAX parser. A document tree would take many times the size of the text
// before the first check; here the first invalid event stops the parser.
class HeaderEvents : public Json::json_sax_t {
 public:
  explicit HeaderEvents(std::string_view where) : where_(where) {}

  SafetensorsHeader header;

  bool start_object(size_t) override {
    if (place_ == Place::outside) return expect(Place::top);
    if (place_ == Place::metadata_value) return expect(Place::metadata);
    if (place_ == Place::entry_value) return expect(Place::entry);
    refuse("an object");
  }

  bool key(std::string& name) override {
    switch (place_) {
      case Place::top:
        name_ = name;
        if (name == "__metadata__") {
          FOLIO_CHECK(!metadata_seen_, where_, "bad header: __metadata__ is repeated");
          metadata_seen_ = true;
          return expect(Place::metadata_value);
        } else {
          const auto [place, is_new] = header.entries.try_emplace(name);
          FOLIO_CHECK(is_new, where_, "bad header: two tensors are called \"{}\"", name);
          entry_ = &place->second;
          dtype_seen_ = shape_seen_ = offsets_seen_ = false;
          return expect(Place::entry_value);
        }
      case Place::metadata: {
        const auto [place, is_new] = header.metadata.try_emplace(name);
        FOLIO_CHECK(is_new, where_, "bad header: \"{}\" is repeated in __metadata__", name);
        text_ = &place->second;
        return expect(Place::metadata_text);
      }
      case Place::entry:
        if (name == "dtype") return begin_field(dtype_seen_, Place::dtype, name);
        if (name == "shape") return begin_field(shape_seen_, Place::shape_value, name);
        if (name == "data_offsets") return begin_field(offsets_seen_, Place::offsets_value, name);
        fail(where_,
             fmt::format("bad header: tensor \"{}\" has an unknown key \"{}\"", name_, name));
      default:
        refuse("a key");
    }
  }

  bool string(std::string& value) override {
    if (place_ == Place::metadata_text) {
      *text_ = value;
      return expect(Place::metadata);
    }
    if (place_ != Place::dtype) refuse("text");
    entry_->dtype = value;
    return expect(Place::entry);
  }

  bool start_array(size_t) override {
    numbers_ = 0;
    if (place_ == Place::shape_value) return expect(Place::shape);
    if (place_ == Place::offsets_value) return expect(Place::offsets);
    refuse("a list");
  }

  bool number_unsigned(uint64_t value) override {
    if (place_ == Place::shape) {
      FOLIO_CHECK(numbers_ < 4, where_,
                  "tensor \"{}\" has more than 4 dimensions, which Folio does not support", name_);
      FOLIO_CHECK(value <= INT64_MAX, where_, "bad header: a dimension of tensor \"{}\" is {}",
                  name_, value);
      entry_->dim[numbers_++] = value;
      entry_->rank = numbers_;
      return true;
    }
    if (place_ == Place::offsets && numbers_ < 2) {
      (numbers_++ == 0 ? entry_->begin : entry_->end) = value;
      return true;
    }
    refuse("a number");
  }

  bool end_array() override {
    FOLIO_CHECK(place_ == Place::shape || numbers_ == 2, where_,
                "bad header: tensor \"{}\" has {} data_offsets instead of 2", name_, numbers_);
    return expect(Place::entry);
  }

  bool end_object() override {
    if (place_ == Place::entry) {
      FOLIO_CHECK(dtype_seen_ && shape_seen_ && offsets_seen_, where_,
                  "bad header: tensor \"{}\" lacks one of dtype, shape, data_offsets", name_);
    }
    return expect(place_ == Place::top ? Place::outside : Place::top);
  }

  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("true or false"); }
  bool number_integer(int64_t) override { refuse("a negative number"); }
  bool number_float(double, const std::string&) override { refuse("a fraction"); }
  bool binary(Json::binary_t&) override { refuse("binary data"); }
  bool parse_error(size_t byte, const std::string&, const Json::exception&) override {
    fail(where_, fmt::format("bad header: not valid JSON at byte {}", byte));
  }

 private:
  // The position of the next event in the header. In state X_value, the value of key X follows.
  enum class Place {
    outside,
    top,
    metadata_value,
    metadata,
    metadata_text,
    entry_value,
    entry,
    dtype,
    shape_value,
    shape,
    offsets_value,
    offsets,
  };

  bool expect(Place next) {
    place_ = next;
    return true;
  }

  bool begin_field(bool& seen, Place next, std::string_view field) {
    FOLIO_CHECK(!seen, where_, "bad header: tensor \"{}\" has two keys \"{}\"", name_, field);
    seen = true;
    return expect(next);
  }

  [[noreturn]] void refuse(std::string_view what) const {
    fail(where_, name_.empty()
                     ? fmt::format("bad header: {} is not allowed here", what)
                     : fmt::format("bad header: {} is not allowed at \"{}\"", what, name_));
  }

  std::string_view where_;
  Place place_ = Place::outside;
  std::string name_;              // the current top-level key
  HeaderEntry* entry_ = nullptr;  // the current tensor
  std::string* text_ = nullptr;   // the current metadata value
  int numbers_ = 0;               // how many numbers of the current list have been read
  bool metadata_seen_ = false, dtype_seen_ = false, shape_seen_ = false, offsets_seen_ = false;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, std::string_view where) {
  FOLIO_CHECK(text.starts_with('{'), where, "bad header: it does not begin with {{");
  HeaderEvents events(where);
  try {
    Json::sax_parse(text.begin(), text.end(), &events);
  } catch (const Json::exception&) {  // the parser throws some errors without parse_error()
    fail(where, "bad header: not valid JSON");
  }
  return std::move(events.header);
}

}  // namespace folio
