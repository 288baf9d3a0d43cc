#include "folio/io/pending_directory.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "folio/io/files.h"
#include "folio/io/numbered_names.h"
#include "folio/tensor/error.h"

namespace folio {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view temporary_mark = ".tmp-";

fs::path replaced_name(const fs::path& directory) {
  return directory.string().append(replaced_suffix);
}

bool has_directory(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

bool is_leftover(const fs::path& path) {
  const std::string name = path.filename().string();
  if (const size_t mark = name.rfind(temporary_mark); mark != name.npos) {
    const auto process = parse_whole_number(name.substr(mark + temporary_mark.size()));
    // This process has no pending directory yet, so its own number is an earlier process's.
    return process && (*process == ::getpid() ||
                       (::kill(static_cast<pid_t>(*process), 0) != 0 && errno == ESRCH));
  }
  return name.ends_with(replaced_suffix) &&
         has_directory(path.parent_path() / name.substr(0, name.size() - replaced_suffix.size()));
}

}  // namespace

fs::path temporary_name(const fs::path& directory) {
  return fmt::format("{}{}{}", directory.string(), temporary_mark, ::getpid());
}

fs::path existing_directory(const fs::path& directory) {
  for (const fs::path& path : {directory, replaced_name(directory)}) {
    if (has_directory(path)) return path;
  }
  return {};
}

void remove_leftovers(const fs::path& parent) {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (fs::directory_iterator entry(parent, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    if (is_leftover(entry->path()) && has_directory(entry->path())) {
      leftovers.push_back(entry->path());
    }
  }
  for (const fs::path& path : leftovers) remove_quietly(path);
}

PendingDirectory::PendingDirectory(const fs::path& directory)
    : final_(directory), temporary_(temporary_name(directory)) {
  remove_quietly(temporary_);
  make_directories(temporary_.parent_path());
  if (::mkdir(temporary_.c_str(), 0777) != 0) fail_system(temporary_, "create", errno);
}

PendingDirectory::~PendingDirectory() {
  if (pending_) remove_quietly(temporary_);
}

void PendingDirectory::commit(bool replace) {
  sync_directory(temporary_);
  const fs::path replaced = replaced_name(final_);
  const bool replaces = replace && has_directory(final_);
  if (replaces) {
    remove_quietly(replaced);  // if that fails, so does the rename, which says why
    rename_path(final_, replaced);
  }
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) {
    const int reason = errno;
    if (replaces) rename_path(replaced, final_);
    fail_system(final_, "create", reason);
  }
  pending_ = false;
  sync_directory(final_.parent_path());
  if (replace) remove_quietly(replaced);  // if that fails, the next remove_leftovers() does it
}

void remove_directory(const fs::path& directory) {
  const fs::path temporary = temporary_name(directory);
  remove_quietly(temporary);
  rename_path(directory, temporary);
  sync_directory(directory.parent_path());
  remove_quietly(temporary);
}

}  // namespace folio
