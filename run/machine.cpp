#include "folio/run/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <fstream>
#include <optional>
#include <string_view>
#include <thread>

#include "folio/io/files.h"
#include "folio/io/json.h"
#include "folio/io/version.h"
#include "folio/kernels/process.h"

namespace folio {
namespace {

/// The value of the first line of /proc/cpuinfo that begins with `key`, or "".
std::string processor_line(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with(key) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

/// The processor's largest vector extension, as the system names it.
std::string vector_instructions() {
  const std::string flags = fmt::format(" {} ", processor_line("flags"));
  for (const std::string_view name : {"avx512_bf16", "avx512f", "avx2", "avx"}) {
    if (flags.find(fmt::format(" {} ", name)) != std::string::npos) return std::string(name);
  }
  return "unknown";
}

}  // namespace

std::string machine_json(int ranks) {
  utsname system{};
  const bool known = uname(&system) == 0;
  const std::string processor = processor_line("model name");
  return json_text(
      {{"folio", folio_version()},
       {"compiler", __VERSION__},
       {"system", known ? fmt::format("{} {} {}", system.sysname, system.release, system.machine)
                        : "unknown"},
       {"processor", processor.empty() ? "unknown" : processor},
       {"vectors", vector_instructions()},
       {"logical processors", std::thread::hardware_concurrency()},
       {"threads", threads()},
       {"ranks", ranks}});
}

std::vector<std::pair<std::string, std::string>> read_machine(const std::filesystem::path& run) {
  const auto text = read_file_if_exists(run / "machine.json", 1 << 16);  // absent from old runs
  const std::optional<Json> json = text ? parse_json(*text) : std::nullopt;
  std::vector<std::pair<std::string, std::string>> members;
  if (!json || !json->is_object()) return members;
  for (const auto& [name, value] : json->items()) {
    members.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return members;
}

}  // namespace folio
