"""Tests FOLIO_ISA: the values that it refuses, and that training under it agrees.

Under one instruction set a run has the same bits every time and with any number of threads; two sets
differ only by rounding.

usage: instruction_set_test.py FOLIO
"""

import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

FOLIO = os.environ.get("FOLIO", "")
STEPS = 50

TEXT = "".join(f"{speaker}:\nSpeak, my lord, of night {i} and day.\n\n"
               for i in range(60) for speaker in ("HAMLET", "GHOST"))

# The model is large enough to divide matrix products among threads, and uses dropout.
CONFIG = """\
data: {{text: {text}}}
model: {{layers: 2, heads: 2, width: 48, context: 32, dropout: 0.1}}
train: {{steps: {steps}, batch: 8, precision: f32, eval_every: 0, checkpoint_every: {steps},
         sample_at: []}}
optimizer: {{lr: 3.0e-3}}
schedule: {{warmup: 5}}
"""


def folio(*arguments, isa=None):
    environment = {name: value for name, value in os.environ.items() if name != "FOLIO_ISA"}
    if isa is not None:
        environment["FOLIO_ISA"] = isa
    return subprocess.run([FOLIO, *map(str, arguments)], capture_output=True, timeout=120,
                          check=False, text=True, encoding="utf-8", env=environment)


def weights(run):
    """The parameters as floats, in the order of the file."""
    data = (run / "checkpoints" / f"step_{STEPS}" / "model.safetensors").read_bytes()
    header = struct.unpack("<Q", data[:8])[0]
    payload = data[8 + header:]
    return struct.unpack(f"<{len(payload) // 4}f", payload)


def losses(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["train_loss"] for line in lines]


class InstructionSetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="folio-isa-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "text.txt").write_text(TEXT)
        cls.config = cls.folder / "small.yaml"
        cls.config.write_text(CONFIG.format(text=cls.folder / "text.txt", steps=STEPS))
        refusal = folio("plan", cls.config, isa="mmx")
        assert refusal.returncode == 1, refusal
        cls.refusal = refusal.stderr
        cls.available = [isa for isa in ("sse2", "avx2", "avx512")
                         if folio("plan", cls.config, isa=isa).returncode == 0]

    def train(self, name, isa, threads):
        run = self.folder / name
        result = folio("train", self.config, "--run", run, "--set", f"train.threads={threads}",
                       isa=isa)
        self.assertEqual(result.returncode, 0, result.stderr)
        return run

    def test_refuses_what_it_does_not_know(self):
        self.assertTrue(self.refusal.startswith("folio: error: FOLIO_ISA: is mmx"), self.refusal)
        self.assertEqual(self.refusal.count("\n"), 1)

    def test_refuses_what_the_cpu_lacks(self):
        for isa in {"sse2", "avx2", "avx512"} - set(self.available):
            result = folio("plan", self.config, isa=isa)
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"FOLIO_ISA: is {isa}, ", result.stderr)

    def test_plan_and_train_say_which_is_in_use(self):
        names = {"sse2": "SSE2", "avx2": "AVX2", "avx512": "AVX-512"}
        for isa in self.available:
            said = folio("plan", self.config, isa=isa).stdout
            self.assertRegex(said, f"{names[isa]}.* kernels, matrix products by .*, as "
                                   f"FOLIO_ISA={isa} asks")
        said = folio("train", self.config, "--run", self.folder / "said", "--set",
                     "train.steps=1").stdout
        self.assertTrue(re.search(r"^device .* kernels, matrix products by", said, re.M), said)
        self.assertNotIn("FOLIO_ISA", said)

    def test_same_bits_with_any_threads_and_rounding_between_sets(self):
        trained = {}
        for isa in self.available or [None]:
            first = self.train(f"{isa}-1", isa, threads=1)
            trained[isa] = first
            for name, threads in (("again", 1), ("2", 2), ("3", 3)):
                other = self.train(f"{isa}-{name}", isa, threads)
                self.assertEqual(losses(first), losses(other), f"{isa}, {threads} threads")
                self.assertEqual(weights(first), weights(other), f"{isa}, {threads} threads")
        base = trained[next(iter(trained))]
        self.assertLess(losses(base)[-1], 0.8 * losses(base)[0])  # the model learned something
        for isa, run in trained.items():
            for step, (a, b) in enumerate(zip(losses(base), losses(run)), 1):
                self.assertAlmostEqual(a, b, delta=1e-5, msg=f"{isa}, step {step}")
            apart = max(abs(a - b) for a, b in zip(weights(base), weights(run)))
            self.assertLess(apart, 1e-5, isa)
        if len(trained) > 1:  # FOLIO_ISA must have an effect, or nothing was compared
            self.assertTrue(any(weights(run) != weights(base) for run in trained.values()))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        FOLIO = sys.argv.pop(1)
    if not FOLIO:
        sys.exit("usage: instruction_set_test.py FOLIO")
    FOLIO = os.path.abspath(FOLIO)
    unittest.main()
