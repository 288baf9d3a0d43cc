#include "folio/run/train_config.h"

#include <fmt/format.h>

#include "folio/tensor/cuda.h"

namespace folio {
namespace {

/// Marks a key that affects how a run is executed, but not what it learns.
void operational(Field& field) { field.changeable().incidental(); }

}  // namespace

void TrainConfig::bind(Section& section) {
  section.integer("steps", steps, 1, most_steps, "updates of the weights").changeable();
  section.integer("batch", batch, 1, most_batch, "B, samples a step");
  section.integer("accumulate", accumulate, 1, most_batch,
                  "micro-batches a step; must divide the batch");
  section.integer("seed", seed, "of all random numbers").incidental();
  section.text("init_from", init_from, true,
               "a run, a checkpoint or a GPT-2 of Hugging Face, whose weights and tokenizer to "
               "begin with; \"\": none");
  std::vector<std::string> devices = {"auto", "cpu"};
  if (cuda::built_in()) devices.emplace_back("cuda");
  section
      .word("device", device, devices, "what computes",
            {{"cuda", "this build has no CUDA; use device: auto or cpu"}})
      .changeable();
  section.word("precision", precision, {"auto", "f32", "tf32", "bf16"},
               "of matrix products; auto is bf16 where the device multiplies it, else f32; a CPU "
               "takes f32 for tf32");
  operational(section.integer("threads", threads, 0, 1024, "0: as many as OpenMP chooses"));
  section.choice<Reduce>("reduce", reduce, {{"fast", Reduce::fast}, {"ordered", Reduce::ordered}},
                         "gradients of micro-batches and ranks; ordered: the same bits on any "
                         "number of ranks");
  operational(section.number("bucket_mb", bucket_mb, above_0,
                             "megabytes of gradients that ranks reduce at a time"));
  operational(section.boolean("overlap", overlap, "ranks reduce while the backward pass runs"));
  operational(section.number("rank_timeout", rank_timeout, at_least_0,
                             "seconds after which a silent rank ends the run; 0: never"));
  section
      .choice<OnNonFinite>("on_non_finite", on_non_finite,
                           {{"stop", OnNonFinite::stop}, {"skip", OnNonFinite::skip}},
                           "a loss or gradient norm")
      .changeable();
  section
      .integer("max_skips", max_skips, 0, most_steps,
               "steps that may be skipped over the whole run; one more stops it")
      .changeable();
  section
      .number("spike_guard", spike_guard, at_least_0,
              "z-score of the gradient norm above which a step is skipped; 0: off")
      .changeable();
  section.integer("spike_window", spike_window, 2, 10'000, "steps that the z-score looks back on")
      .changeable();
  operational(section.integer("steps_in_flight", steps_in_flight, 1, 1000,
                              "that a GPU is given before the host waits for the oldest; 1 with a "
                              "spike guard"));
  section.number("label_smoothing", label_smoothing, fraction, "0 to below 1");
  operational(section.choice<Recompute>(
      "recompute", recompute,
      {{"none", Recompute::none}, {"mlp", Recompute::mlp}, {"block", Recompute::block}},
      "in the backward pass, to save memory"));
  operational(section.integer("log_every", log_every, 0, most_steps,
                              "steps between lines in metrics.jsonl; 0: never"));
  operational(section.integer("eval_every", eval_every, 0, most_steps,
                              "steps between validations; 0: never"));
  section.integer("eval_batches", eval_batches, 0, most_steps,
                  "batches a validation reads; 0: the whole split");
  operational(section.integer("checkpoint_every", checkpoint_every, 0, most_steps,
                              "steps between checkpoints; 0: never"));
  operational(section.integer("keep_last", keep_last, 0, most_steps,
                              "checkpoints that are kept besides the best; 0: all"));
  operational(section.integers("sample_at", sample_at, 0, most_steps,
                               "after these steps and the last a sample is written; []: never"));
  operational(section.text("sample_prompt", sample_prompt, true, "what samples begin with"));
  operational(section.integer("sample_tokens", sample_tokens, 1, 1'000'000, "their length"));
  operational(section.number("sample_temperature", sample_temperature, at_least_0,
                             "0: always the most likely token"));
  operational(
      section.boolean("tensorboard", tensorboard, "metrics also as event files for TensorBoard"));
  section.rule("accumulate", "batch", [this]() -> std::string {
    if (batch % accumulate == 0) return "";
    return fmt::format("{} does not divide train.batch {}; choose micro-batches of equal size",
                       accumulate, batch);
  });
}

}  // namespace folio
