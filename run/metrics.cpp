#include "folio/run/metrics.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>

#include "folio/io/files.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using Json = nlohmann::json;

/// The step of a line, unless the line is not an object with an integer "step".
std::optional<int64_t> step_of(std::string_view line) {
  // Nested values are discarded, to bound the memory.
  const auto flat = [](int depth, Json::parse_event_t, Json&) { return depth <= 1; };
  const Json object = Json::parse(line, flat, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  const auto step = object.find("step");
  if (step == object.end() || !step->is_number_integer()) return std::nullopt;
  if (step->is_number_unsigned() && step->get<uint64_t>() > INT64_MAX) return std::nullopt;
  return step->get<int64_t>();
}

/// Calls visit(line, step) for each line that has a step.
void for_each_line(std::string_view text, const auto& visit) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (const auto step = step_of(line)) visit(line, *step);
  }
}

/// The shortest text that reads back as the same double; null for NaN and infinity.
std::string number(double value) { return Json(value).dump(); }

}  // namespace

std::string lines_until(std::string_view text, int64_t last) {
  std::string kept;
  for_each_line(text, [&](std::string_view line, int64_t step) {
    if (step <= last) kept.append(line).append("\n");
  });
  return kept;
}

int64_t last_step_in(std::string_view text) {
  int64_t last = -1;
  for_each_line(text, [&](std::string_view, int64_t step) { last = std::max(last, step); });
  return last;
}

MetricsWriter::MetricsWriter(const std::filesystem::path& path, int64_t after_step) : path_(path) {
  std::error_code error;
  const bool is_new = !std::filesystem::exists(path_, error);
  if (std::filesystem::is_regular_file(path_, error)) {
    const std::string text = read_file(path_);
    const std::string kept = lines_until(text, after_step);
    if (kept != text) replace_durably(path_, kept);
  }
  file_ = std::fopen(path_.c_str(), "ae");
  if (file_ == nullptr) fail_system(path_, "open", errno);
  if (is_new) sync_directory(path_.parent_path());
}

MetricsWriter::~MetricsWriter() { std::fclose(file_); }

void MetricsWriter::train(int64_t step, double loss, double lr, double gradient_norm,
                          double tokens_per_second) {
  line(fmt::format(
      "{{\"step\":{},\"train_loss\":{},\"lr\":{},\"grad_norm\":{},\"tokens_per_second\":{}}}\n",
      step, number(loss), number(lr), number(gradient_norm), number(tokens_per_second)));
}

void MetricsWriter::skipped(int64_t step, double lr, double gradient_norm,
                            std::string_view reason) {
  line(
      fmt::format("{{\"step\":{},\"train_loss\":null,\"lr\":{},\"grad_norm\":{},\"skipped\":{}}}\n",
                  step, number(lr), number(gradient_norm), Json(reason).dump()));
}

void MetricsWriter::validation(int64_t step, double loss) {
  line(fmt::format("{{\"step\":{},\"val_loss\":{}}}\n", step, number(loss)));
}

void MetricsWriter::sync() {
  if (::fsync(::fileno(file_)) != 0) fail_system(path_, "flush", errno);
}

void MetricsWriter::line(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), file_) == text.size();
  if (!written || std::fflush(file_) != 0) fail_system(path_, "write", errno);
}

}  // namespace folio
