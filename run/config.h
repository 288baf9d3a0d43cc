// A run's configuration: YAML sections, each bound by the component that uses it, with every
// default in one place.
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

/// Reads a config file, then applies `overrides`, each "section.key=value" with value in YAML.
/// Throws Error for: a file that cannot be read; YAML that cannot be parsed; an unknown section or
/// key (naming the nearest known one); a wrong type; an impossible value. The message begins with
/// file:line:column, or with "--set section.key".
Config load_config(const std::filesystem::path& path,
                   const std::vector<std::string>& overrides = {});

/// The same from text; `where` stands for the file's name in messages.
Config parse_config(const std::string& yaml, const std::string& where,
                    const std::vector<std::string>& overrides = {});

/// Every key with its value, as YAML that load_config() reads back to the same Config.
std::string to_yaml(const Config& config);

/// The sections of a config, bound to its members, which must outlive them.
std::vector<Section> sections_of(Config& config);

/// A key whose values differ between two configs.
struct KeyDifference {
  std::string key;                           // dotted: "model.width"
  std::string a, b;                          // the values as YAML; "" if a config has no such key
  bool may_change = false, compared = true;  // see Field
};
std::vector<KeyDifference> differences(const Config& a, const Config& b);
/// The names of those keys.
std::vector<std::string> differing_keys(const Config& a, const Config& b);

TaskInputs task_inputs(const Config& config);
/// The task of the config. Its data is not read yet, see Task::open().
std::unique_ptr<Task> make_task(const Config& config);
/// The model of the config.
std::unique_ptr<Model> make_model(const Config& config, const Scope& scope, int64_t vocabulary);

}  // namespace folio
