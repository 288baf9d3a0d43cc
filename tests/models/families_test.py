"""Tests every family with the program: training, resuming, checking, planning, profiling, reporting.

usage: families_test.py FOLIO
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

FOLIO = os.path.abspath(sys.argv.pop(1))
CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
TEXT = "".join(f"{speaker}:\nSpeak, my lord, of night {i} and day.\n\n"
               for i in range(60) for speaker in ("HAMLET", "GHOST"))
SMALL = ["model.layers=2", "model.width=16", "model.context=16", "train.batch=4", "train.steps=6",
         "train.checkpoint_every=3", "train.eval_every=3", "train.eval_batches=2",
         "train.threads=1", "train.device=cpu", "schedule.warmup=2"]


class Family:
    """Tests for every family; each class below names a config."""
    config, settings, writes_text = "", [], False

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="folio-family-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "text.txt").write_text(TEXT)
        cls.overrides = ["--set", f"data.text={cls.folder / 'text.txt'}", *SMALL, *cls.settings]
        cls.trained = cls.folder / "run"
        cls.output = cls.folio("train", CONFIGS / cls.config, "--run", cls.trained, *cls.overrides)

    @classmethod
    def folio(cls, *arguments, code=0):
        result = subprocess.run([FOLIO, *map(str, arguments)], capture_output=True, text=True,
                                cwd=cls.folder, check=False, timeout=120)
        assert result.returncode == code, (arguments, result.stderr, result.stdout)
        return result.stdout + result.stderr

    def weights(self, run):
        return (run / "checkpoints/step_6/model.safetensors").read_bytes()

    def test_resumes_bitwise(self):
        parts = self.folder / "parts"
        self.folio("train", CONFIGS / self.config, "--run", parts, "--stop-at", "3",
                   *self.overrides)
        self.folio("train", "--resume", "--run", parts)
        self.assertEqual(self.weights(parts), self.weights(self.trained))

    def test_micro_batches_and_threads_change_no_bit_of_ordered_sums(self):
        ordered = ["train.reduce=ordered", "train.accumulate=4", "train.precision=f32"]
        for threads in (1, 2):
            self.folio("train", CONFIGS / self.config, "--run", self.folder / f"threads{threads}",
                       *self.overrides, *ordered, f"train.threads={threads}")
        self.assertEqual(self.weights(self.folder / "threads1"),
                         self.weights(self.folder / "threads2"))

    def test_gradients(self):
        self.assertIn(", 0 off;", self.folio("gradcheck", CONFIGS / self.config, *self.overrides,
                                             "model.context=5", "model.dropout=0.1"))

    def test_is_planned_and_profiled(self):
        self.assertIn("activations kept", self.folio("plan", CONFIGS / self.config,
                                                     *self.overrides))
        profile = self.folio("profile", CONFIGS / self.config, "--steps", "2", *self.overrides)
        for op in ("cross_entropy", "linear", "optimizer"):
            self.assertIn(op, profile)

    def test_is_evaluated_and_reported(self):
        self.assertIn('"loss":', self.folio("eval", self.trained))
        page = self.folder / "report.html"
        self.folio("report", self.trained, "--out", page)
        self.assertIn("<svg", page.read_text())
        self.assertIn("whole", self.folio("verify", self.trained))

    def test_writes_text_or_says_that_it_does_not(self):
        if self.writes_text:
            text = self.folio("sample", self.trained, "--prompt", "GHOST", "--max-tokens", "40",
                              "--seed", "2")
            self.assertTrue(text.startswith("GHOST"))
            self.assertGreaterEqual(len(text), 40)
            self.assertEqual(text, self.folio("sample", self.trained, "--prompt", "GHOST",
                                              "--max-tokens", "40", "--seed", "2"))
        else:
            self.assertIn("writes no text", self.folio("sample", self.trained, code=1))

    def test_a_step_that_is_not_finite_is_explained_and_replayed(self):
        blown = self.folder / "blown"
        output = self.folio("train", CONFIGS / self.config, "--run", blown, *self.overrides,
                            "optimizer.lr=1.0e6", "optimizer.clip=0", "schedule.warmup=0",
                            "train.steps=40", "optimizer.name=sgd", code=1)
        self.assertIn("the first bad values are made by", output)
        self.assertIn("the same as recorded", self.folio("replay", blown))


class Lstm(Family, unittest.TestCase):
    config, writes_text = "lstm.yaml", True


class Bert(Family, unittest.TestCase):
    config, settings = "bert.yaml", ["model.heads=2"]


unittest.main()
