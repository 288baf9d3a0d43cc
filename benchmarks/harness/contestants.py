"""Folio and its peers: how each runs a recipe and reports its figures.

A contestant is a function (recipe, threads, amount) -> figures. The figures of training are step_ms (the median),
train_seconds, wall_seconds, peak_rss_mb and val_loss; those of sampling are tokens_per_second and peak_rss_mb.
"""

import json
import pathlib
import re
import statistics
import subprocess
import tempfile

from harness.machine import ROOT, Failed, python_of, run

PEERS = ROOT / "benchmarks/peers"


def figures(**values):
    return {key: value if value is None else round(value, 3) for key, value in values.items()}


# ---- Folio ----------------------------------------------------------------------------------------

def folio_settings(args, text, precision):
    sets = [f"train.seed={args.seed}", "train.eval_every=0", "train.sample_at=[]", f"train.precision={precision}"]
    if text is not None:
        sets.append(f"data.text={text}")
    return [part for setting in sets + args.set for part in ("--set", setting)]


def folio_train(args, text, precision, config=None, whole=False):
    """With `whole`, the full pass over the validation split is included."""
    def train(recipe, threads, amount):
        with tempfile.TemporaryDirectory(prefix="folio-compare-") as folder:
            directory = pathlib.Path(folder) / "run"
            command = [args.folio, "train", f"configs/{config or recipe.config}.yaml", "--run", directory,
                       *folio_settings(args, text, precision), "--set", f"train.steps={amount}",
                       "--set", f"train.checkpoint_every={amount if whole else 0}"]
            _, _, wall, peak = run(command, threads, "folio train")
            lines = (directory / "metrics.jsonl").read_text().splitlines()
            seconds = [recipe.tokens_per_step / row["tokens_per_second"]
                       for row in map(json.loads, lines) if "tokens_per_second" in row]
            if len(seconds) != amount:
                raise Failed(f"folio's metrics.jsonl has {len(seconds)} steps; {amount} were requested")
            val_loss = None
            if whole:
                out, _, evaluation, _ = run([args.folio, "eval", directory], threads, "folio eval")
                wall += evaluation  # the peer evaluates in the same process
                val_loss = json.loads(out.strip().splitlines()[-1])["loss"]
            return figures(step_ms=statistics.median(seconds) * 1000, train_seconds=sum(seconds), wall_seconds=wall,
                           peak_rss_mb=peak, val_loss=val_loss)
    return train


def folio_sample(args, text, precision, folder):
    """Samples from a checkpoint of one step: the time per token does not depend on the weights."""
    def sample(recipe, threads, amount):
        directory = pathlib.Path(folder) / f"{recipe.config}-{precision}"
        if not directory.exists():
            run([args.folio, "train", f"configs/{recipe.config}.yaml", "--run", directory,
                 *folio_settings(args, text, precision), "--set", "train.steps=1", "--set", "train.checkpoint_every=1"],
                threads, "folio train")
        _, errors, _, peak = run([args.folio, "sample", directory, "--speed", "--max-tokens", amount], threads,
                                 "folio sample")
        speed = re.search(r"([\d.]+) tokens/s", errors)
        if not speed:
            raise Failed(f"folio sample --speed printed no speed:\n{errors}")
        return figures(tokens_per_second=float(speed.group(1)), peak_rss_mb=peak)
    return sample


def folio_over_gemm(args, recipe, text, precision):
    """A step's time over that of its matrix products alone, as folio profile measures both; median of three."""
    ratios = []
    for _ in range(3):
        out, _, _, _ = run([args.folio, "profile", f"configs/{recipe.config}.yaml", "--steps", recipe.amount,
                            *folio_settings(args, text, precision)], args.threads, "folio profile")
        ratios.append(float(re.search(r"^over GEMM time\s+([\d.]+)", out, re.MULTILINE).group(1)))
    return statistics.median(ratios)


# ---- PyTorch and transformers -----------------------------------------------------------------------

def torch_train(args, text, precision, compiled=False, whole=False):
    def train(recipe, threads, amount):
        command = [python_of(args.venv), "-B", PEERS / "train_torch.py", "--config", f"configs/{recipe.config}.yaml",
                   "--steps", amount, "--seed", args.seed, "--threads", threads]
        if text is not None:
            command += ["--text", text]
        command += ["--compile"] * compiled + ["--bf16"] * (precision == "bf16") + ["--eval"] * whole
        out, _, wall, _ = run(command, threads, "the PyTorch peer")
        summary = json.loads(out.strip().splitlines()[-1])
        return figures(step_ms=summary["step_ms_median"], train_seconds=summary["train_seconds"], wall_seconds=wall,
                       # The peer reports its own peak: the same counter, read before the evaluation.
                       peak_rss_mb=summary["peak_rss_mb"], val_loss=summary["val_loss"])
    return train


def torch_sample(args, transformers=False):
    def sample(recipe, threads, amount):
        command = [python_of(args.venv), "-B", PEERS / "sample_torch.py", "--config", f"configs/{recipe.config}.yaml",
                   "--vocabulary", recipe.vocabulary, "--tokens", amount, "--threads", threads]
        out, _, _, _ = run(command + ["--transformers"] * transformers, threads, "the sampling peer")
        summary = json.loads(out.strip().splitlines()[-1])
        return figures(tokens_per_second=summary["tokens_per_second"], peak_rss_mb=summary["peak_rss_mb"])
    return sample


def versions(args):
    out, _, _, _ = run([python_of(args.venv), "-c", "import torch, transformers, json; print(json.dumps(dict("
                        "pytorch=torch.__version__, transformers=transformers.__version__)))"], 1, "the peers' Python")
    return json.loads(out.strip().splitlines()[-1])


def read_bandwidth(args):
    """GB/s at which PyTorch's sum reads 1 GiB of f32 with all threads; the best of ten."""
    code = ("import time, torch; x = torch.ones(1 << 28); best = 1e9\n"
            "for _ in range(10):\n  t = time.perf_counter(); x.sum(); best = min(best, time.perf_counter() - t)\n"
            "print(4 * (1 << 28) / best / 1e9)")
    out, _, _, _ = run([python_of(args.venv), "-c", code], args.threads, "the measurement of bandwidth")
    return round(float(out), 1)


# ---- llm.c ----------------------------------------------------------------------------------------

def llmc_train(args, folder):
    """llm.c's train_gpt2.c, from a checkout, as its Makefile builds it. It has no dropout and no clipping."""
    program = pathlib.Path(folder) / "llmc_step"
    machine = "-march=x86-64-v3" if args.isa else "-march=native"
    command = ["gcc", "-Ofast", machine, "-fopenmp", "-DOMP", "-I", args.llm_c, PEERS / "llmc_step.c", "-lm", "-o", program]
    if subprocess.run([str(part) for part in command]).returncode != 0:
        raise Failed(f"llm.c could not be built from {args.llm_c}; the command was\n  {' '.join(map(str, command))}")

    def train(recipe, threads, amount):
        out, _, wall, peak = run([program, recipe.layers, recipe.heads, recipe.width, recipe.context, recipe.vocabulary,
                                  recipe.batch, amount, pathlib.Path(folder) / "llmc.bin"], threads, "llm.c")
        steps = [float(line.split()[2]) for line in out.splitlines() if line.startswith("step ")]
        return figures(step_ms=statistics.median(steps), train_seconds=sum(steps) / 1000, wall_seconds=wall,
                       peak_rss_mb=peak, val_loss=None)
    return train
