"""Checks that no change of the sources changes the bits of any config's weights.

usage: bits_test.py FOLIO [--mpirun MPIRUN] [--record]

Each config of configs/ is made small (SMALLER) and trained for 50 steps. The sha256 of its weights is
compared:
  - between runs, on any machine: one and two threads, ten steps and a resume, and one, two and three
    ranks with `reduce: ordered` give the same bits;
  - with bits.json, if it has this machine's arithmetic (processor, instruction set, library of matrix
    products). Different kinds of arithmetic differ by rounding.
The bits are those of the commit at which they were recorded. To add a machine to bits.json, check out
that commit, build it, and run its program with --record.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = HERE.parent.parent / "configs"
RECORD = HERE / "bits.json"

WORDS = "my lord the king is dead speak no more of this sweet night and go to bed".split()
TEXT = "".join(f"{WORDS[i * i % 17].title()}, {WORDS[i % 13]} {WORDS[i * 7 % 11]};\n"
               for i in range(1500)) + "ACT III. Scene I.\n"  # the prompt of a config's sample

# These keys reduce the cost of training without changing its code paths.
SMALLER = {
    "gpt2_124m": ["model.layers=2", "model.width=96", "model.context=32", "data.vocabulary=512"],
    "baby_gpt": ["model.layers=3", "model.width=96", "model.context=64", "train.batch=6"],
    "baby_gpt_curve": ["model.layers=2", "model.width=96", "model.context=64", "train.batch=6"],
    "shakespeare_curve": ["model.context=64"],
}
SETTINGS = ["train.steps=50", "train.eval_every=0", "train.sample_at=[]", "train.device=cpu",
            "schedule.warmup=5", "train.checkpoint_every=50"]
VARIANTS = {
    "f32": ["train.precision=f32"],
    "bf16": ["train.precision=bf16"],
    "ordered": ["train.precision=f32", "train.reduce=ordered", "train.batch=6",
                "train.accumulate=3"],
    # Options that no config uses.
    "other": ["train.precision=f32", "model.norm=post", "model.positions=sinusoidal",
              "model.tied=false", "model.bias=true", "model.activation=relu", "model.dropout=0.1",
              "train.recompute=block", "train.label_smoothing=0.1", "train.accumulate=2",
              "data.sampling=shuffled", "optimizer.name=sgd", "schedule.name=inverse_square_root"],
}


def weights_of(run, step, file="model"):
    """The sha256 of all weights, by name."""
    data = (run / f"checkpoints/step_{step}/{file}.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    digest = hashlib.sha256()
    for name in sorted(header):
        first, last = header[name]["data_offsets"]
        digest.update(name.encode())
        digest.update(data[8 + size + first:8 + size + last])
    return digest.hexdigest()


class Bits:
    def __init__(self, folio, mpirun, folder):
        self.folio, self.mpirun, self.folder = folio, mpirun, folder
        self.text = folder / "text.txt"
        self.text.write_text(TEXT)
        self.faults, self.checks = [], 0

    def train(self, name, run, *arguments, ranks=1, threads=1):
        launcher = [self.mpirun, "-np", str(ranks)] if ranks > 1 else []
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        result = subprocess.run([*launcher, self.folio, "train", *arguments, "--run", run],
                                capture_output=True, text=True, env=environment, check=False)
        if result.returncode != 0:
            sys.exit(f"{name}: {result.stderr}{result.stdout}")
        return result.stdout

    def same(self, what, bits, wanted):
        self.checks += 1
        if bits != wanted:
            self.faults.append(f"{what}: {bits[:16]} is not {wanted[:16]}")

    def settings(self, config, variant, threads):
        texts = [] if config.stem == "gpt2_124m" else [f"data.text={self.text}"]
        return [*SETTINGS, *texts, *SMALLER.get(config.stem, []), *VARIANTS[variant],
                f"train.threads={threads}"]

    def config(self, config, variant):
        """The bits of one config; None if this CPU does not multiply bf16."""
        first = None
        runs = [("1-thread", 1, 1), ("2-threads", 2, 1)]
        if variant == "ordered":
            runs = [("1-rank", 1, 1)] + [(f"{n}-ranks", 1, n) for n in (2, 3) if self.mpirun]
        for name, threads, ranks in runs:
            run = self.folder / f"{config.stem}-{variant}-{name}"
            self.train(run.name, run, config, "--set", *self.settings(config, variant, threads),
                       ranks=ranks, threads=threads)
            # The names of models other than GPT-2 changed once in files, so their moments are compared instead.
            bits = weights_of(run, 50, "optimizer" if variant == "other" else "model")
            first = first or bits
            self.same(run.name, bits, first)
        return first

    def resumed(self, config):
        """Twenty steps: ten, a stop, and ten more after a resume."""
        whole, parts = self.folder / f"{config.stem}-20", self.folder / f"{config.stem}-10-10"
        settings = [*self.settings(config, "f32", 2), "train.steps=20", "train.checkpoint_every=10"]
        self.train(whole.name, whole, config, "--set", *settings, threads=2)
        self.train(parts.name, parts, config, "--stop-at", "10", "--set", *settings, threads=2)
        self.train(parts.name, parts, "--resume", threads=2)
        self.same(parts.name, weights_of(parts, 20), weights_of(whole, 20))
        return weights_of(whole, 20)


def arithmetic(folio):
    """What rounding depends on."""
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run([folio, "plan", CONFIGS / "gpt2_124m.yaml"], cwd=folder, check=True,
                                capture_output=True, text=True).stdout
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text() if platform.system() == "Linux" else ""
    facts = {key.strip(): value.strip() for key, value in re.findall(r"^([^:\n]+):(.*)$", cpuinfo,
                                                                     re.MULTILINE)}
    kernels = re.search(r"(\S+) kernels, matrix products by (.*?)\)?$", output, re.MULTILINE)
    return "{vendor_id} {cpu family}/{model}: {0}".format(
        re.sub(r"\d+ threads?, ", "", kernels.group(0)), **{"vendor_id": "?", "cpu family": "?",
                                                            "model": "?", **facts})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folio", type=lambda path: os.path.abspath(path))
    parser.add_argument("--mpirun")
    parser.add_argument("--record", action="store_true", help="write the bits to bits.json")
    options = parser.parse_args()
    machine = arithmetic(options.folio)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    known = record.get(machine, {})
    found = {}
    with tempfile.TemporaryDirectory(prefix="folio-bits-") as folder:
        bits = Bits(options.folio, options.mpirun, pathlib.Path(folder))
        for config in sorted(CONFIGS.glob("*.yaml")):
            if config.stem not in known and known and not options.record:
                continue  # a newer family, whose own tests check its bits
            multiplies_bf16 = "bf16" in machine
            for variant in VARIANTS:
                if variant == "other" and config.stem != "nanogpt_cpu":
                    continue
                if variant != "bf16" or multiplies_bf16:
                    found.setdefault(config.stem, {})[variant] = bits.config(config, variant)
            found[config.stem]["resumed"] = bits.resumed(config)
        for config, variants in known.items():
            for variant, wanted in variants.items():
                bits.same(f"{config} {variant}, recorded", found.get(config, {}).get(variant, "no"),
                          wanted)
    if options.record:
        record[machine] = found
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{machine}: {'bits are compared with the record' if known else 'not in bits.json: runs are compared with each other'}")
    print(f"{bits.checks} comparisons, {len(bits.faults)} differ")
    for fault in bits.faults:
        print(fault)
    sys.exit(bool(bits.faults))


main()
