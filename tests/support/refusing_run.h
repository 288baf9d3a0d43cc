// A tiny run that a bad weight makes fail at some of its steps.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "folio/inspect/run_hooks.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {

/// tiny_text() with a rare character, '#', in the part that trains.
inline std::string text_with_rare_character() {
  std::string text = tiny_text();
  for (size_t place = 100; place < 3500; place += 340) text[place] = '#';
  return text;
}

/// Weights with which every activation is 0 and the loss finite, but not the gradients before the
/// last norm: they are multiplied by 1e38, 1e5 and, since the norm's variance is 0, 1 / sqrt(eps).
inline void break_backward_pass(Trainer& trainer) {
  const auto set = [&](const char* name, float even, float odd) {
    const Tensor& value = trainer.parameters().find(name).value;
    for (int64_t i = 0; i < value.numel(); ++i) {
      value.data<float>()[i] = i / value.shape().columns() % 2 == 0 ? even : odd;
    }
  };
  set("token_embedding.weight", 0, 0);
  set("position_embedding.weight", 0, 0);
  set("final_norm.weight", 1e5F, 1e5F);
  set("output.weight", 1e38F, -1e38F);
}

class RefusingRun : public ::testing::Test {
 protected:
  RefusingRun() {
    write_file(text_, text_with_rare_character());
    write_file(config_, tiny_yaml(text_));
  }

  /// With an output of its own, so that the token embedding matters only for tokens that are read.
  Config config(std::vector<std::string> overrides = {}) const {
    overrides.push_back("model.tied=false");
    return tiny_config(text_, overrides);
  }

  /// Trains, and returns what was printed. What folio::Error says is in `error_`.
  std::string train_into(const std::string& run, TrainOptions options = {}) {
    if (!options.resume) {
      options.config = config_;
      options.overrides.push_back("model.tied=false");
      options.overrides.push_back("train.eval_every=0");  // nor a best checkpoint
    }
    options.run = path(run);
    error_.clear();
    testing::internal::CaptureStdout();
    try {
      train(options, inspecting_hooks());
    } catch (const Error& error) {
      error_ = error.what();
    }
    return testing::internal::GetCapturedStdout();
  }

  /// Trains `run` up to `step`, and sets one weight of its checkpoint there to infinity.
  void break_at(const std::string& run, int64_t step, const std::string& parameter, int64_t element,
                const std::vector<std::string>& overrides) {
    train_into(run, {.overrides = overrides, .stop_at = step});
    ASSERT_EQ(error_, "");
    const std::filesystem::path checkpoint =
        path(run) / "checkpoints" / ("step_" + std::to_string(step));
    Trainer trainer(load_config(path(run) / "config.yaml"));
    load_parameters(checkpoint, trainer.model(), trainer.parameters());
    const Progress progress = load_progress(checkpoint, trainer.parameters(), trainer.optimizer());
    trainer.parameters().find(parameter).value.data<float>()[element] =
        std::numeric_limits<float>::infinity();
    save_checkpoint(checkpoint, trainer.model(), trainer.parameters(), trainer.optimizer(),
                    trainer.tokenizer(), trainer.config(), progress);
  }

  /// The same with a weight that only samples with '#' meet: its token's first channel.
  void break_rare_character(const std::string& run, std::vector<std::string> overrides) {
    overrides.push_back("train.checkpoint_every=10");
    break_at(run, 2, "token_embedding.weight", rare_token() * 16, overrides);
  }

  int64_t rare_token() const {
    return CharTokenizer::build(text_with_rare_character(), UnknownCharacter::error, "test")
        ->encode("#", "test")[0];
  }

  /// metrics.jsonl without what depends on the clock.
  std::vector<nlohmann::json> metrics_of(const std::string& run) const {
    std::vector<nlohmann::json> lines;
    std::istringstream file(read_text(path(run) / "metrics.jsonl"));
    for (std::string line; std::getline(file, line);) {
      lines.push_back(nlohmann::json::parse(line));
      lines.back().erase("tokens_per_second");
    }
    return lines;
  }

  std::vector<int64_t> skipped_steps(const std::string& run) const {
    std::vector<int64_t> steps;
    for (const nlohmann::json& line : metrics_of(run)) {
      if (line.contains("skipped")) steps.push_back(line["step"]);
    }
    return steps;
  }

  std::filesystem::path path(const std::string& name) const { return directory_.path() / name; }

  TemporaryDirectory directory_;
  std::filesystem::path text_ = directory_.path() / "text.txt";
  std::filesystem::path config_ = directory_.path() / "tiny.yaml";
  std::string error_;
};

}  // namespace folio
