// Checkpoints on bad disks: nothing half-written is taken for whole, and what was whole stays so.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>

#include "folio/run/checkpoint.h"
#include "folio/run/checkpoint_state.h"
#include "folio/tensor/error.h"
#include "support/tiny_checkpoint.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using CheckpointDamage = CheckpointTest;

constexpr const char* file_names[] = {"model.safetensors", "optimizer.safetensors",
                                      "tokenizer.json", "config.yaml", "state.json"};
constexpr const char* promise = "; the earlier checkpoints are whole; run again with --resume";

TEST_F(CheckpointDamage, TruncatedFilesAreNamed) {
  TinyState(1).save(step(1));
  for (const char* name : file_names) {
    const fs::path path = step(1) / name;
    const std::string whole = read_text(path);
    for (size_t part = 0; part < 20; ++part) {
      write_file(path, whole.substr(0, whole.size() * part / 20));
      EXPECT_THAT(
          error_of([&] { verify_checkpoint(step(1)); }),
          AllOf(StartsWith(path.string() + ": "), HasSubstr("truncated"), HasSubstr("damaged")))
          << part << "/20";
    }
    write_file(path, whole);
    verify_checkpoint(step(1));
  }
}

TEST_F(CheckpointDamage, FlippedBitsAreNamed) {
  TinyState(1).save(step(1), {.step = 100000, .validation_loss = 1e-7});
  const RandomStream stream{.seed = 3, .purpose = purpose_of("bits"), .step = 0};
  for (const char* name : file_names) {
    const fs::path path = step(1) / name;
    const std::string whole = read_text(path);
    for (uint64_t sample = 0; sample < 200; ++sample) {
      const uint64_t bit = stream.below(8 * whole.size(), sample);
      std::string flipped = whole;
      flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
      fs::remove(path);
      write_file(path, flipped);
      EXPECT_THAT(error_of([&] { verify_checkpoint(step(1)); }),
                  AllOf(StartsWith(path.string() + ": "), HasSubstr("the checkpoint is damaged")))
          << "bit " << bit;
    }
    write_file(path, whole);
    verify_checkpoint(step(1));
  }
}

TEST_F(CheckpointDamage, EveryBitOfTheStateCounts) {
  CheckpointState state;
  state.progress = {.step = 3, .validation_loss = 1e-7, .skips = 2, .accepted_norms = {0.1, 3e-9}};
  state.tokenizer_hash = "0123456789abcdef";
  state.files = {{"model.safetensors", {7, 0xFEDCBA}}};
  const std::string whole = to_json(state);
  EXPECT_EQ(to_json(state_from_json(whole, "state.json")), whole);
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_THAT(error_of([&] { state_from_json(flipped, "state.json"); }),
                AllOf(StartsWith("state.json: "), HasSubstr("the checkpoint is damaged")))
        << "bit " << bit;
  }
}

/// `body` with the checksum that belongs to it: what a forger, or a later version, may write.
std::string sealed(std::string body) {
  body += "\n";  // so that state.json's own members end anywhere
  return body + fmt::format(",\n  \"checksum\": \"{:016x}\"\n}}\n", checksum_of(body));
}

TEST_F(CheckpointDamage, AStateOfAnotherMakeIsRefused) {
  const std::string good =
      R"({"step":1,"samples_drawn":3,"validation_loss":2,"best_validation_loss":2,"best_step":1,)"
      R"("tokenizer_hash":"x","files":{"a":{"bytes":1,"checksum":"00000000000000ff"}})";
  EXPECT_EQ(state_from_json(sealed(good), "state.json").files.at("a").checksum, 0xFFu);
  const auto error = [&](const std::string& part, const std::string& other) {
    std::string changed = good;
    changed.replace(changed.find(part), part.size(), other);
    return error_of([&] { state_from_json(sealed(changed), "state.json"); });
  };
  EXPECT_THAT(error(R"("step":1)", R"("step":-1)"), HasSubstr("\"step\" is -1"));
  EXPECT_THAT(error(R"("step":1)", R"("step":1.5)"), HasSubstr("\"step\" is not a whole number"));
  EXPECT_THAT(error(R"("step":1)", R"("step":18446744073709551615)"),
              HasSubstr("\"step\" is not a whole number"));
  EXPECT_THAT(error(R"("step":1,)", ""), HasSubstr("\"step\" is missing"));
  EXPECT_THAT(error(R"("samples_drawn":3)", R"("samples_drawn":-3)"),
              HasSubstr("\"samples_drawn\" is -3"));
  EXPECT_THAT(error(R"("validation_loss":2)", R"("validation_loss":"2")"),
              HasSubstr("\"validation_loss\" is not a number"));
  EXPECT_THAT(error(R"("x")", "5"), HasSubstr("\"tokenizer_hash\" is not text"));
  EXPECT_THAT(error(R"("a":{)", R"("../a":{)"), HasSubstr("no file of a checkpoint"));
  EXPECT_THAT(error(R"("00000000000000ff")", R"("ff")"), HasSubstr("16 hexadecimal digits"));
  EXPECT_THAT(error(R"("bytes":1)", R"("bytes":-1)"), HasSubstr("\"bytes\" of \"a\" is -1"));
  EXPECT_THAT(error(R"({"bytes":1,"checksum":"00000000000000ff"})", "3"),
              HasSubstr("\"a\" is not an object"));
  EXPECT_THAT(error(R"({"a":{"bytes":1,"checksum":"00000000000000ff"}})", "[]"),
              HasSubstr("\"files\" is not an object"));
  EXPECT_THAT(error(R"("x")", std::string(100000, '[')), HasSubstr("nested too deep"));
  EXPECT_THAT(error(R"("x")", "1e999"), HasSubstr("not valid JSON"));
}

TEST_F(CheckpointDamage, MissingFilesAreNamed) {
  TinyState state(1);
  for (const char* name : file_names) {
    state.save(step(1));
    fs::remove(step(1) / name);
    EXPECT_EQ(error_of([&] { verify_checkpoint(step(1)); }),
              (step(1) / name).string() + ": cannot read: No such file or directory");
    fs::remove_all(step(1));
  }
}

TEST_F(CheckpointDamage, DamageChangesNoModel) {
  TinyState saved(1), other(2);
  saved.save(step(1));
  const std::string before = other.bytes();
  for (const char* name : {"model.safetensors", "optimizer.safetensors"}) {
    std::string bytes = read_text(step(1) / name);
    bytes.back() ^= 1;
    write_file(step(1) / name, bytes);
  }
  EXPECT_THAT(error_of([&] { load_parameters(step(1), other.model, other.parameters); }),
              AllOf(HasSubstr("model.safetensors: "), HasSubstr("is damaged")));
  EXPECT_THAT(error_of([&] { load_progress(step(1), other.parameters, *other.optimizer); }),
              AllOf(HasSubstr("optimizer.safetensors: "), HasSubstr("is damaged")));
  EXPECT_EQ(other.bytes(), before);
}

/// A limit on how long a file may grow, while the object lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_;
  void (*old_handler_)(int);
};

/// Saves to step_2 and to best, which must fail, and looks whether anything changed.
std::string failed_saves(const fs::path& run, TinyState& state) {
  const auto before = contents_of(run);
  std::string message;
  for (const char* name : {"best", "step_2"}) {
    message = error_of([&] { state.save(run / "checkpoints" / name); });
    EXPECT_EQ(contents_of(run), before);
  }
  verify_checkpoint(run / "checkpoints" / "best");
  return message;
}

TEST_F(CheckpointDamage, AFileThatCannotGrow) {
  TinyState state(1), other(2);
  state.save(step(1));
  state.save(checkpoints / "best");
  for (rlim_t bytes : {0, 8, 100, 500, 700, 1000, 1100}) {
    std::string message;
    {
      const FileSizeLimit limit(bytes);
      message = failed_saves(run, other);
    }
    EXPECT_THAT(message, AllOf(StartsWith(step(2).string() + "/"),
                               EndsWith(std::string(": cannot write: File too large") + promise)))
        << bytes;
  }
}

/// A small file system in memory, while the object lives.
class SmallDisk {
 public:
  explicit SmallDisk(const fs::path& path) : path_(path) {
    fs::create_directories(path);
    if (::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=256k") != 0) reason_ = errno;
  }
  ~SmallDisk() {
    if (reason_ == 0) ::umount2(path_.c_str(), MNT_DETACH);
  }
  int reason() const { return reason_; }  // why there is none
  bool remount_read_only() const {
    return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=256k") == 0;
  }

 private:
  fs::path path_;
  int reason_ = 0;
};

TEST_F(CheckpointDamage, ADiskThatIsFull) {
  const fs::path disk = run / "disk";
  const SmallDisk mounted(disk);
  if (mounted.reason() != 0) {
    GTEST_SKIP() << "cannot mount a small file system: " << ::strerror(mounted.reason());
  }
  TinyState state(1), other(2);
  state.save(disk / "checkpoints" / "step_1");
  state.save(disk / "checkpoints" / "best");
  // Fill the disk but for a little, each time less.
  const std::string filler(fs::space(disk).available, 'x');
  for (size_t free : {12288, 8192, 4096, 0}) {
    fs::remove(disk / "filler");
    write_file(disk / "filler", filler.substr(0, filler.size() - free));
    EXPECT_THAT(
        failed_saves(disk, other),
        AllOf(StartsWith((disk / "checkpoints" / "step_2").string() + "/"),
              EndsWith(std::string(": No space left on device; free some space") + promise)))
        << free;
  }
  fs::remove(disk / "filler");
  other.save(disk / "checkpoints" / "best");
  verify_checkpoint(disk / "checkpoints" / "best");
}

TEST_F(CheckpointDamage, ADiskThatIsReadOnly) {
  const fs::path disk = run / "disk";
  const SmallDisk mounted(disk);
  if (mounted.reason() != 0) {
    GTEST_SKIP() << "cannot mount a small file system: " << ::strerror(mounted.reason());
  }
  TinyState state(1), other(2);
  state.save(disk / "checkpoints" / "step_1");
  state.save(disk / "checkpoints" / "best");
  ASSERT_TRUE(mounted.remount_read_only());
  EXPECT_EQ(failed_saves(disk, other), (disk / "checkpoints" / "step_2").string() +
                                           ": cannot create: Read-only file system" + promise);
}

TEST_F(CheckpointDamage, ADirectoryThatMayNotBeWritten) {
  TinyState state(1), other(2);
  state.save(step(1));
  state.save(checkpoints / "best");
  constexpr uid_t nobody = 65534;  // the superuser may write anywhere
  const bool is_root = ::geteuid() == 0;
  fs::permissions(run, fs::perms(0755));
  fs::permissions(checkpoints, fs::perms(0555));
  if (is_root && ::seteuid(nobody) != 0) {
    GTEST_SKIP() << "cannot become another user: " << ::strerror(errno);
  }
  const std::string message = failed_saves(run, other);
  ASSERT_EQ(is_root ? ::seteuid(0) : 0, 0);
  fs::permissions(checkpoints, fs::perms(0755));
  EXPECT_EQ(message, step(2).string() +
                         ": cannot create: Permission denied; check the permissions of the "
                         "file and its directory" +
                         promise);
}

TEST_F(CheckpointDamage, AFileInTheWayOfTheDirectories) {
  write_file(run / "checkpoints", "a file");
  EXPECT_EQ(error_of([&] { TinyState(1).save(step(1)); }),
            checkpoints.string() +
                ": cannot make the directory: File exists; there is no earlier checkpoint");
  EXPECT_EQ(read_text(run / "checkpoints"), "a file");
}

TEST_F(CheckpointDamage, WhatIsNoCheckpointIsNotReplaced) {
  fs::create_directories(step(1));
  write_file(step(1) / "thesis.txt", "years of work");
  write_file(step(2), "a file");
  const auto before = contents_of(run);
  for (int64_t number : {1, 2}) {
    EXPECT_THAT(
        error_of([&] { TinyState(1).save(step(number)); }),
        AllOf(StartsWith(step(number).string()), HasSubstr("exists but is not a checkpoint")));
  }
  EXPECT_EQ(contents_of(run), before);
}

}  // namespace
}  // namespace folio
