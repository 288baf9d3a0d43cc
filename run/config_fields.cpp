#include "folio/run/config_fields.h"

#include <fmt/ranges.h>

#include <utility>

#include "folio/data/synthetic.h"
#include "folio/io/config_value.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "folio/tensor/nearest.h"

namespace folio {
namespace {

// Limits that keep every product of sizes (B heads T T 8 bytes is the largest) below 2^63, and
// steps within the 32 bits that random numbers have for them.
constexpr int64_t most_layers = 1000, most_heads = 1000;
constexpr int64_t most_width = 100'000, most_context = 100'000, most_batch = 100'000;
constexpr int64_t most_steps = 4'000'000'000;

constexpr NumberRange fraction{0.0, 1.0, true, false};
constexpr NumberRange at_least_0{0.0, 1e6};
constexpr NumberRange above_0{0.0, 1e6, false, true};
// Smaller ones vanish beside a gradient of zero in f32.
constexpr NumberRange epsilon{1e-30, 1.0};

// Names that rules repeat.
constexpr std::string_view model_heads = "model.heads", model_width = "model.width";
constexpr std::string_view train_steps = "train.steps", train_batch = "train.batch";
constexpr std::string_view train_accumulate = "train.accumulate";
constexpr std::string_view schedule_warmup = "schedule.warmup";
constexpr std::string_view data_text = "data.text", data_tokenizer = "data.tokenizer",
                           data_vocabulary = "data.vocabulary";

// A member of a section of the config.
template <class Section, class T>
struct Member {
  Section Config::*section;
  T Section::*member;
  T& in(Config& config) const { return config.*section.*member; }
  const T& in(const Config& config) const { return config.*section.*member; }
};

template <class Section, class T>
Member<Section, T> at(Section Config::*section, T Section::*member) {
  return {section, member};
}

template <class Read, class Write>
ConfigField field(std::string_view name, std::string comment, Read read, Write write) {
  const size_t dot = name.find('.');
  return {std::string(name.substr(0, dot)), std::string(name.substr(dot + 1)), std::move(comment),
          read, write};
}

// A field that `reader(node, where)` reads and `writer(value)` writes.
template <class Section, class T, class Reader, class Writer>
ConfigField value_field(std::string_view name, Member<Section, T> at, std::string comment,
                        Reader reader, Writer writer) {
  return field(
      name, std::move(comment),
      [at, reader](Config& config, const YAML::Node& node, std::string_view where) {
        at.in(config) = reader(node, where);
      },
      [at, writer](const Config& config) -> std::string { return writer(at.in(config)); });
}

template <class Section>
ConfigField integer(std::string_view name, Member<Section, int64_t> at, int64_t low, int64_t high,
                    std::string comment) {
  return value_field(
      name, at, std::move(comment),
      [low, high](const YAML::Node& node, std::string_view where) {
        return read_integer(node, where, low, high);
      },
      [](int64_t value) { return std::to_string(value); });
}

template <class Section>
ConfigField number(std::string_view name, Member<Section, double> at, const NumberRange& range,
                   std::string comment) {
  return value_field(
      name, at, std::move(comment),
      [range](const YAML::Node& node, std::string_view where) {
        return read_number(node, where, range);
      },
      write_number);
}

template <class Section>
ConfigField boolean(std::string_view name, Member<Section, bool> at, std::string comment) {
  return value_field(name, at, std::move(comment), read_boolean,
                     [](bool value) { return value ? "true" : "false"; });
}

template <class Section>
ConfigField text(std::string_view name, Member<Section, std::string> at, bool may_be_empty,
                 std::string comment) {
  return value_field(
      name, at, std::move(comment),
      [may_be_empty](const YAML::Node& node, std::string_view where) {
        std::string value =
            read_string(node, where, may_be_empty ? "text, or \"\" for none" : "text");
        FOLIO_CHECK(may_be_empty || !value.empty(), where, "must not be empty");
        return value;
      },
      write_string);
}

template <class T>
using Words = std::vector<std::pair<std::string, T>>;

// One of several words. `refused` are words that other builds know, with what to say about them.
template <class Section, class T>
ConfigField choice(std::string_view name, Member<Section, T> at, const Words<T>& words,
                   std::string comment, const Words<std::string>& refused = {}) {
  std::vector<std::string> known;
  for (const auto& [word, value] : words) known.push_back(word);
  const auto reader = [words, refused, known](const YAML::Node& node, std::string_view where) -> T {
    const std::string given = read_string(node, where);
    for (const auto& [word, value] : words) {
      if (word == given) return value;
    }
    for (const auto& [word, reason] : refused) {
      if (word == given) fail(where, reason);
    }
    const std::string meant = nearest_name(given, known);
    fail(where, fmt::format("{} is not one of: {}{}", shown(given), fmt::join(known, ", "),
                            meant.empty() ? "" : fmt::format("; is {} meant?", meant)));
  };
  const auto writer = [words](const T& value) -> std::string {
    for (const auto& [word, meaning] : words) {
      if (meaning == value) return write_string(word);
    }
    return {};
  };
  if (!comment.empty()) comment += ": ";
  return value_field(name, at, comment + fmt::format("{}", fmt::join(known, " | ")), reader,
                     writer);
}

/// Those that this build can compute on; whether there is one shows when it is needed.
Words<std::string> devices() {
  Words<std::string> words = {{"auto", "auto"}, {"cpu", "cpu"}};
  if (cuda::built_in()) words.emplace_back("cuda", "cuda");
  return words;
}

std::vector<ConfigField> make_fields() {
  using D = DataConfig;
  using M = GptConfig;
  using T = TrainConfig;
  using O = OptimizerConfig;
  const auto data = &Config::data;
  const auto model = &Config::model;
  const auto train = &Config::train;
  const auto optimizer = &Config::optimizer;
  const auto schedule = &Config::schedule;
  return {
      text(data_text, at(data, &D::text), false,
           "a path, a directory of folio prepare, a name in the data cache, or synthetic: random "
           "tokens"),
      choice<D, std::string>(data_tokenizer, at(data, &D::tokenizer),
                             {{"char", "char"}, {"bpe", "bpe"}, {"synthetic", "synthetic"}},
                             "of a prepared text the one that it was prepared with"),
      integer(data_vocabulary, at(data, &D::vocabulary), 1, 10'000'000,
              "different tokens: of synthetic, and of bpe at most, where the text is not prepared"),
      choice<D, UnknownCharacter>(
          "data.unknown_character", at(data, &D::unknown),
          {{"error", UnknownCharacter::error}, {"replace", UnknownCharacter::replace}},
          "one that the tokenizer lacks"),
      number("data.validation_fraction", at(data, &D::validation_fraction), fraction,
             "of the text, at its end; 0: no validation"),
      choice<D, Sampling>("data.sampling", at(data, &D::sampling),
                          {{"random", Sampling::random}, {"shuffled", Sampling::shuffled}},
                          "at random offsets, or by epochs"),

      integer("model.layers", at(model, &M::layers), 1, most_layers, "residual blocks"),
      integer(model_heads, at(model, &M::heads), 1, most_heads, "must divide the width"),
      integer(model_width, at(model, &M::width), 1, most_width, "C, channels"),
      integer("model.context", at(model, &M::context), 1, most_context, "T, tokens the model sees"),
      number("model.dropout", at(model, &M::dropout), fraction, "probability, 0 to below 1"),
      boolean("model.bias", at(model, &M::bias), "in linear layers and layer norms"),
      choice<M, Norm>("model.norm", at(model, &M::norm), {{"pre", Norm::pre}, {"post", Norm::post}},
                      "where blocks normalise"),
      choice<M, Positions>("model.positions", at(model, &M::positions),
                           {{"learned", Positions::learned}, {"sinusoidal", Positions::sinusoidal}},
                           "encoding"),
      choice<M, Activation>("model.activation", at(model, &M::activation),
                            {{"relu", Activation::relu},
                             {"gelu", Activation::gelu},
                             {"gelu_tanh", Activation::gelu_tanh}},
                            "of the feed-forward"),
      boolean("model.tied", at(model, &M::tied), "the output embedding is the token embedding"),

      integer(train_steps, at(train, &T::steps), 1, most_steps, "updates of the weights"),
      integer(train_batch, at(train, &T::batch), 1, most_batch, "B, samples a step"),
      integer(train_accumulate, at(train, &T::accumulate), 1, most_batch,
              "micro-batches a step; must divide the batch"),
      value_field("train.seed", at(train, &T::seed), "of all random numbers", read_unsigned,
                  [](uint64_t value) { return std::to_string(value); }),
      text("train.init_from", at(train, &T::init_from), true,
           "a run, a checkpoint or a GPT-2 of Hugging Face, whose weights and tokenizer to begin "
           "with; \"\": none"),
      choice<T, std::string>("train.device", at(train, &T::device), devices(), "what computes",
                             {{"cuda", "this build has no CUDA; use device: auto or cpu"}}),
      choice<T, std::string>("train.precision", at(train, &T::precision),
                             {{"auto", "auto"}, {"f32", "f32"}, {"tf32", "tf32"}, {"bf16", "bf16"}},
                             "of matrix products; auto is bf16 where the device multiplies it, "
                             "else f32; a CPU takes f32 for tf32"),
      integer("train.threads", at(train, &T::threads), 0, 1024, "0: as many as OpenMP chooses"),
      choice<T, Reduce>(
          "train.reduce", at(train, &T::reduce),
          {{"fast", Reduce::fast}, {"ordered", Reduce::ordered}},
          "gradients of micro-batches and ranks; ordered: the same bits on any number "
          "of ranks"),
      number("train.bucket_mb", at(train, &T::bucket_mb), above_0,
             "megabytes of gradients that ranks reduce at a time"),
      boolean("train.overlap", at(train, &T::overlap), "ranks reduce while the backward pass runs"),
      number("train.rank_timeout", at(train, &T::rank_timeout), at_least_0,
             "seconds after which a silent rank ends the run; 0: never"),
      choice<T, OnNonFinite>("train.on_non_finite", at(train, &T::on_non_finite),
                             {{"stop", OnNonFinite::stop}, {"skip", OnNonFinite::skip}},
                             "a loss or gradient norm"),
      integer("train.max_skips", at(train, &T::max_skips), 0, most_steps,
              "steps that may be skipped over the whole run; one more stops it"),
      number("train.spike_guard", at(train, &T::spike_guard), at_least_0,
             "z-score of the gradient norm above which a step is skipped; 0: off"),
      integer("train.spike_window", at(train, &T::spike_window), 2, 10'000,
              "steps that the z-score looks back on"),
      integer("train.steps_in_flight", at(train, &T::steps_in_flight), 1, 1000,
              "that a GPU is given before the host waits for the oldest; 1 with a spike guard"),
      number("train.label_smoothing", at(train, &T::label_smoothing), fraction, "0 to below 1"),
      choice<M, Recompute>(
          "train.recompute", at(model, &M::recompute),
          {{"none", Recompute::none}, {"mlp", Recompute::mlp}, {"block", Recompute::block}},
          "in the backward pass, to save memory"),
      integer("train.log_every", at(train, &T::log_every), 0, most_steps,
              "steps between lines in metrics.jsonl; 0: never"),
      integer("train.eval_every", at(train, &T::eval_every), 0, most_steps,
              "steps between validations; 0: never"),
      integer("train.eval_batches", at(train, &T::eval_batches), 0, most_steps,
              "batches a validation reads; 0: the whole split"),
      integer("train.checkpoint_every", at(train, &T::checkpoint_every), 0, most_steps,
              "steps between checkpoints; 0: never"),
      integer("train.keep_last", at(train, &T::keep_last), 0, most_steps,
              "checkpoints that are kept besides the best; 0: all"),
      value_field(
          "train.sample_at", at(train, &T::sample_at),
          "after these steps and the last a sample is written; []: never",
          [](const YAML::Node& node, std::string_view where) {
            return read_integers(node, where, 0, most_steps);
          },
          write_integers),
      text("train.sample_prompt", at(train, &T::sample_prompt), true, "what samples begin with"),
      integer("train.sample_tokens", at(train, &T::sample_tokens), 1, 1'000'000, "their length"),
      number("train.sample_temperature", at(train, &T::sample_temperature), at_least_0,
             "0: always the most likely token"),
      boolean("train.tensorboard", at(train, &T::tensorboard),
              "metrics also as event files for TensorBoard"),

      choice<O, OptimizerKind>("optimizer.name", at(optimizer, &O::kind),
                               {{"adamw", OptimizerKind::adamw},
                                {"adam", OptimizerKind::adam},
                                {"sgd", OptimizerKind::sgd}},
                               ""),
      number("optimizer.lr", at(schedule, &Schedule::lr), above_0, "the learning rate's peak"),
      field(
          "optimizer.betas", "decay of the first and second moment; sgd: the first is momentum",
          [](Config& config, const YAML::Node& node, std::string_view where) {
            const std::vector<double> betas = read_number_pair(node, where, fraction);
            config.optimizer.beta1 = betas[0];
            config.optimizer.beta2 = betas[1];
          },
          [](const Config& config) {
            return fmt::format("[{}, {}]", write_number(config.optimizer.beta1),
                               write_number(config.optimizer.beta2));
          }),
      number("optimizer.eps", at(optimizer, &O::eps), epsilon, "added to the denominator"),
      number("optimizer.weight_decay", at(optimizer, &O::weight_decay), at_least_0,
             "of matrices only"),
      boolean("optimizer.shard", at(optimizer, &O::shard),
              "each rank keeps and updates a part (ZeRO stage 1)"),
      number("optimizer.clip", at(optimizer, &O::clip), at_least_0,
             "largest norm of the whole gradient; 0: no clipping"),

      choice<Schedule, ScheduleKind>("schedule.name", at(schedule, &Schedule::kind),
                                     {{"cosine", ScheduleKind::cosine},
                                      {"constant", ScheduleKind::constant},
                                      {"inverse_square_root", ScheduleKind::inverse_square_root}},
                                     ""),
      integer(schedule_warmup, at(schedule, &Schedule::warmup), 0, most_steps,
              "steps in which the rate climbs"),
      number("schedule.final_lr", at(schedule, &Schedule::final_lr), at_least_0,
             "at the last step of cosine"),
  };
}

std::string heads_complaint(const Config& config) {
  const auto& [heads, width] = std::pair(config.model.heads, config.model.width);
  if (width % heads == 0) return "";
  return fmt::format("{} does not divide {} {}; choose heads that divide the width", heads,
                     model_width, width);
}

std::string synthetic_complaint(const Config& config) {
  const bool tokens = config.data.text == synthetic_name;
  if (tokens == (config.data.tokenizer == synthetic_name)) return "";
  return fmt::format("is {} but {} is {}; random tokens need synthetic in both, a text in neither",
                     config.data.tokenizer, data_text, shown(config.data.text));
}

std::string vocabulary_complaint(const Config& config) {
  if (config.data.tokenizer != "bpe" || config.data.vocabulary > 256) return "";
  return fmt::format("{} is too few: bpe needs at least 257, for the bytes and the end of a text",
                     config.data.vocabulary);
}

std::string accumulate_complaint(const Config& config) {
  const auto& [accumulate, batch] = std::pair(config.train.accumulate, config.train.batch);
  if (batch % accumulate == 0) return "";
  return fmt::format("{} does not divide {} {}; choose micro-batches of equal size", accumulate,
                     train_batch, batch);
}

}  // namespace

std::span<const ConfigSection> config_sections() {
  static const std::vector<ConfigSection> sections = {
      {"data", "The text, and how batches are drawn from it."},
      {"model", "The GPT."},
      {"train", "The run."},
      {"optimizer", "How gradients move the weights."},
      {"schedule", "The learning rate over the run."},
  };
  return sections;
}

std::span<const ConfigField> config_fields() {
  static const std::vector<ConfigField> fields = make_fields();
  return fields;
}

std::span<const ConfigRule> config_rules() {
  static const std::vector<ConfigRule> rules = {
      {model_heads, model_width, heads_complaint},
      {train_accumulate, train_batch, accumulate_complaint},
      {data_tokenizer, data_text, synthetic_complaint},
      {data_vocabulary, data_tokenizer, vocabulary_complaint},
  };
  return rules;
}

}  // namespace folio
