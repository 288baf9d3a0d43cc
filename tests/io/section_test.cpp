// Sections of a config: members bound to keys.
#include "folio/io/section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/io/variety.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::ElementsAre;

enum class Colour : uint8_t { red, dark_red };

struct Everything {
  int64_t count = 3;
  uint64_t seed = 7;
  std::vector<int64_t> places = {1, 2};
  double rate = 0.5;
  double low = 0.25, high = 0.75;
  bool quick = false;
  std::string title = "a title", note, device = "auto";
  Colour colour = Colour::red;

  void bind(Section& section) {
    section.integer("count", count, 1, 9, "how many").changeable();
    section.integer("seed", seed, "of all").incidental();
    section.integers("places", places, 0, 99, "where");
    section.number("rate", rate, fraction, "how fast");
    section.numbers("range", low, high, {0.0, 1.0}, "from and to").changeable().incidental();
    section.boolean("quick", quick, "or not");
    section.text("title", title, false, "of it");
    section.text("note", note, true, "about it");
    section.word("device", device, {"auto", "cpu"}, "what computes",
                 {{"cuda", "this build has no CUDA"}});
    section.choice<Colour>("colour", colour, {{"red", Colour::red}, {"dark_red", Colour::dark_red}},
                           "of it");
    section.rule("count", "rate", [this]() -> std::string {
      return static_cast<double>(count) > 10.0 * rate ? "is too many for the rate" : "";
    });
    section.rule("title", "train.steps", [] { return std::string(); });
  }
};

/// The members, and the section that is bound to them.
struct Bound {
  Everything values;
  Section section{"things", "All kinds."};
  Bound() { values.bind(section); }
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;

  const Field& field(std::string_view key) {
    return *std::ranges::find(section.fields(), key, &Field::key);
  }
  void read(const std::string& key, const std::string& yaml) {
    field(key).read(YAML::Load(yaml), "here: things." + key);
  }
  std::string error(const std::string& key, const std::string& yaml) {
    return error_of([&] { read(key, yaml); });
  }
};

TEST(Section, HasItsFieldsInOrder) {
  Bound bound;
  EXPECT_EQ(bound.section.name(), "things");
  EXPECT_EQ(bound.section.comment(), "All kinds.");
  std::vector<std::string> keys;
  for (const Field& field : bound.section.fields()) keys.push_back(field.key);
  EXPECT_THAT(keys, ElementsAre("count", "seed", "places", "rate", "range", "quick", "title",
                                "note", "device", "colour"));
  EXPECT_EQ(bound.field("count").comment, "how many");
  EXPECT_EQ(bound.field("device").comment, "what computes: auto | cpu");
  EXPECT_EQ(bound.field("colour").comment, "of it: red | dark_red");
}

TEST(Section, FieldsSayWhatAResumedRunMayChangeAndWhatIsCompared) {
  Bound bound;
  const auto flags = [&](const char* key) {
    return std::pair(bound.field(key).may_change, bound.field(key).compared);
  };
  EXPECT_EQ(flags("places"), std::pair(false, true));
  EXPECT_EQ(flags("count"), std::pair(true, true));
  EXPECT_EQ(flags("seed"), std::pair(false, false));
  EXPECT_EQ(flags("range"), std::pair(true, false));
}

TEST(Section, ReadsIntoTheMembers) {
  Bound bound;
  bound.read("count", "9");
  bound.read("seed", "18446744073709551615");
  bound.read("places", "[3, 0, 99]");
  bound.read("rate", "0");
  bound.read("range", "[0, 1]");
  bound.read("quick", "true");
  bound.read("title", "another");
  bound.read("note", "\"\"");
  bound.read("device", "cpu");
  bound.read("colour", "dark_red");
  EXPECT_EQ(bound.values.count, 9);
  EXPECT_EQ(bound.values.seed, UINT64_MAX);
  EXPECT_THAT(bound.values.places, ElementsAre(3, 0, 99));
  EXPECT_EQ(bound.values.rate, 0.0);
  EXPECT_EQ(bound.values.low, 0.0);
  EXPECT_EQ(bound.values.high, 1.0);
  EXPECT_TRUE(bound.values.quick);
  EXPECT_EQ(bound.values.title, "another");
  EXPECT_EQ(bound.values.note, "");
  EXPECT_EQ(bound.values.device, "cpu");
  EXPECT_EQ(bound.values.colour, Colour::dark_red);
}

TEST(Section, WritesWhatItReadsBack) {
  Bound bound;
  std::vector<std::string> written;
  for (const Field& field : bound.section.fields()) written.push_back(field.write());
  EXPECT_THAT(written, ElementsAre("3", "7", "[1, 2]", "0.5", "[0.25, 0.75]", "false",
                                   "\"a title\"", "\"\"", "auto", "red"));
  bound.values.count = 5;
  bound.values.title = "x: \"y\"\n#";
  bound.values.note = "true";
  bound.values.rate = 0.1 + 0.2;
  bound.values.low = 1.0 / 3.0;
  bound.values.seed = UINT64_MAX;
  bound.values.places.clear();
  bound.values.quick = true;
  bound.values.device = "cpu";
  bound.values.colour = Colour::dark_red;
  Bound other;
  for (const Field& field : bound.section.fields()) other.read(field.key, field.write());
  for (const Field& field : bound.section.fields()) {
    EXPECT_EQ(other.field(field.key).write(), field.write()) << field.key;
  }
  EXPECT_EQ(other.values.title, bound.values.title);
  EXPECT_EQ(other.values.rate, bound.values.rate);
  EXPECT_EQ(other.values.low, bound.values.low);
  EXPECT_EQ(other.values.colour, Colour::dark_red);
}

TEST(Section, WrongValuesAreNamedAndChangeNothing) {
  Bound bound;
  EXPECT_EQ(bound.error("count", "many"), "here: things.count: \"many\" is not a whole number");
  EXPECT_EQ(bound.error("count", "10"),
            "here: things.count: 10 is out of range; it must be at least 1 and at most 9");
  EXPECT_EQ(bound.error("seed", "-1"),
            "here: things.seed: -1 is out of range; it must be at least 0 and at most "
            "18446744073709551615");
  EXPECT_EQ(bound.error("places", "[1, 100]"),
            "here: things.places: entry 2: 100 is out of range; it must be at least 0 and at most "
            "99");
  EXPECT_EQ(bound.error("rate", "1"),
            "here: things.rate: 1 is out of range; it must be at least 0 and below 1");
  EXPECT_EQ(bound.error("range", "[0.5]"),
            "here: things.range: a list of 1 is not a pair; write it as [0.9, 0.99]");
  EXPECT_EQ(bound.error("quick", "yes"), "here: things.quick: \"yes\" is neither true nor false");
  EXPECT_EQ(bound.error("title", "''"), "here: things.title: must not be empty");
  EXPECT_EQ(bound.error("title", "[a]"),
            "here: things.title: a list is not text; put the text in quotes");
  EXPECT_EQ(bound.error("note", "~"),
            "here: things.note: there is no value; write text, or \"\" for none");
  EXPECT_EQ(bound.error("device", "cpus"),
            "here: things.device: \"cpus\" is not one of: auto, cpu; is cpu meant?");
  EXPECT_EQ(bound.error("device", "cuda"), "here: things.device: this build has no CUDA");
  EXPECT_EQ(bound.error("colour", "dark-red"),
            "here: things.colour: \"dark-red\" is not one of: red, dark_red; is dark_red meant?");
  EXPECT_EQ(bound.error("colour", "mauve"),
            "here: things.colour: \"mauve\" is not one of: red, dark_red");
  Bound fresh;
  for (const Field& field : bound.section.fields()) {
    EXPECT_EQ(field.write(), fresh.field(field.key).write()) << field.key;
  }
}

TEST(Section, RulesHaveDottedNamesAndSeeTheMembers) {
  Bound bound;
  ASSERT_EQ(bound.section.rules().size(), 2u);
  const FieldRule &own = bound.section.rules()[0], &others = bound.section.rules()[1];
  EXPECT_EQ(own.key, "things.count");
  EXPECT_EQ(own.other, "things.rate");
  EXPECT_EQ(others.key, "things.title");
  EXPECT_EQ(others.other, "train.steps");
  EXPECT_EQ(own.complaint(), "");
  bound.read("count", "6");
  EXPECT_EQ(own.complaint(), "is too many for the rate");
  bound.read("rate", "0.9");
  EXPECT_EQ(own.complaint(), "");
}

TEST(Section, CommentsListTheWords) {
  EXPECT_EQ(comment_with_words("what computes", {"auto", "cpu"}), "what computes: auto | cpu");
  EXPECT_EQ(comment_with_words("", {"auto", "cpu"}), "auto | cpu");
  EXPECT_EQ(comment_with_words("", {"auto"}), "auto");
}

// --- varieties ----------------------------------------------------------------------------------

struct Shape2d {
  virtual ~Shape2d() = default;
  virtual std::unique_ptr<Shape2d> clone() const = 0;
  virtual double area() const = 0;
};
struct Square : Shape2d {
  double side = 2.0;
  std::unique_ptr<Shape2d> clone() const override { return std::make_unique<Square>(*this); }
  double area() const override { return side * side; }
};
struct Circle : Shape2d {
  double radius = 1.0;
  std::unique_ptr<Shape2d> clone() const override { return std::make_unique<Circle>(*this); }
  double area() const override { return 3.0 * radius * radius; }
};
const VarietyEntry<Shape2d> shapes[] = {
    {"square", []() -> std::unique_ptr<Shape2d> { return std::make_unique<Square>(); }},
    {"circle", []() -> std::unique_ptr<Shape2d> { return std::make_unique<Circle>(); }}};

TEST(Variety, IsTheFirstUntilAnotherIsChosen) {
  Variety<Shape2d> shape{shapes};
  EXPECT_EQ(shape.name(), "square");
  EXPECT_EQ(shape->area(), 4.0);
  EXPECT_THAT(shape.names(), ElementsAre("square", "circle"));
  shape.choose("circle", "here");
  EXPECT_EQ(shape.name(), "circle");
  EXPECT_EQ(shape->area(), 3.0);
  EXPECT_EQ(error_of([&] { shape.choose("line", "here"); }), "here: there is no \"line\"");
  EXPECT_EQ(shape.name(), "circle");
}

TEST(Variety, ChoosingThePresentOneKeepsItsOptions) {
  Variety<Shape2d> shape{shapes};
  dynamic_cast<Square&>(*shape).side = 5.0;
  shape.choose("square", "here");
  EXPECT_EQ(shape->area(), 25.0);
  shape.choose("circle", "here");
  shape.choose("square", "here");
  EXPECT_EQ(shape->area(), 4.0);
}

TEST(Variety, CopiesAsAValue) {
  Variety<Shape2d> first{shapes};
  dynamic_cast<Square&>(*first).side = 3.0;
  Variety<Shape2d> second = first;
  dynamic_cast<Square&>(*second).side = 1.0;
  EXPECT_EQ(first->area(), 9.0);
  EXPECT_EQ(second->area(), 1.0);
  second.choose("circle", "here");
  first = second;
  EXPECT_EQ(first.name(), "circle");
  EXPECT_EQ(first->area(), 3.0);
  second.choose("square", "here");
  EXPECT_EQ(first.name(), "circle");
}

}  // namespace
}  // namespace folio
