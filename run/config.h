// The configuration of a run. The component that uses a section binds its keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "folio/data/data_config.h"
#include "folio/io/section.h"
#include "folio/models/model.h"
#include "folio/optim/optimizer.h"
#include "folio/optim/schedule.h"
#include "folio/run/train_config.h"
#include "folio/tasks/task.h"

namespace folio {

struct Config {
  DataConfig data;
  ModelConfig model;
  TaskConfig task;
  TrainConfig train;
  OptimizerConfig optimizer;
  Schedule schedule;  // lr is optimizer.lr, steps is train.steps
};

/// Reads a config file, then applies `overrides`, each "section.key=value" with a value in YAML.
/// Throws Error, beginning with file:line:column or "--set section.key", for a file that cannot be
/// read, invalid YAML, an unknown section or key, a wrong type, or an invalid value.
Config load_config(const std::filesystem::path& path,
                   const std::vector<std::string>& overrides = {});

/// The same for the text of a config; `where` is used as the file name in messages.
Config parse_config(const std::string& yaml, const std::string& where,
                    const std::vector<std::string>& overrides = {});

/// Every key with its value, as YAML that load_config() reads back to the same Config.
std::string to_yaml(const Config& config);

/// The sections of a config, which must outlive them.
std::vector<Section> sections_of(Config& config);

/// A key whose values differ between two configs.
struct KeyDifference {
  std::string key;   // "model.width"
  std::string a, b;  // the values as YAML; "" if a config does not have the key
  bool may_change = false, compared = true;  // see Field
};
std::vector<KeyDifference> differences(const Config& a, const Config& b);
/// Only the keys of differences().
std::vector<std::string> differing_keys(const Config& a, const Config& b);

TaskInputs task_inputs(const Config& config);
/// Creates the task of the config. Task::open() reads the data.
std::unique_ptr<Task> make_task(const Config& config);
/// Creates the model of the config.
std::unique_ptr<Model> make_model(const Config& config, const Scope& scope, int64_t vocabulary);

}  // namespace folio
