#include "folio/io/yaml.h"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <sstream>
#include <vector>

#include "folio/io/utf8.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr size_t most_bytes = 1 << 20;

// Records the start of each document and ignores everything else.
class DocumentStarts : public YAML::EventHandler {
 public:
  std::vector<YAML::Mark> marks;

  void OnDocumentStart(const YAML::Mark& mark) override { marks.push_back(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

void check_bytes(const std::string& yaml, const std::string& where) {
  FOLIO_CHECK(yaml.size() <= most_bytes, where,
              "this is too long for a config: {} bytes, at most {}; is it another kind of file?",
              yaml.size(), most_bytes);
  decode_utf8(yaml, where);
  for (size_t i = 0; i < yaml.size(); ++i) {
    const auto byte = static_cast<unsigned char>(yaml[i]);  // yaml-cpp treats 0x04 as the end
    FOLIO_CHECK(byte >= 0x20 || byte == '\t' || byte == '\n' || byte == '\r', where,
                "byte {} (counted from 0) is the control character 0x{:02x}; remove it", i, byte);
  }
}

}  // namespace

std::string yaml_place(const std::string& where, const YAML::Mark& mark) {
  if (mark.is_null()) return where;
  return fmt::format("{}:{}:{}", where, mark.line + 1, mark.column + 1);
}

YAML::Node load_yaml(const std::string& yaml, const std::string& where,
                     const std::function<std::string(const YAML::Mark&)>& place) {
  check_bytes(yaml, where);
  try {
    // YAML::Load() ignores a second document, and YAML::LoadAll() of yaml-cpp 0.7 allocates memory
    // without limit after an unmatched bracket or comma.
    std::istringstream stream(yaml);
    YAML::Parser parser(stream);
    DocumentStarts starts;
    while (starts.marks.size() < 2 && parser.HandleNextDocument(starts)) continue;
    FOLIO_CHECK(starts.marks.size() < 2, place(starts.marks[1]),
                "a second YAML document begins here; leave out lines of --- and brackets or commas "
                "that belong to nothing");
    return YAML::Load(yaml);
  } catch (const YAML::Exception& error) {
    FOLIO_CHECK(error.msg != YAML::ErrorMsg::BAD_FILE, place(error.mark),
                "nested too deeply; a config has sections with keys, and lists");
    fail(place(error.mark), fmt::format("not valid YAML: {}; check indentation (spaces, no tabs), "
                                        "colons, brackets and quotes",
                                        error.msg));
  }
}

}  // namespace folio
