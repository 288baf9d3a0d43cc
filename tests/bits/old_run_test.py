"""Tests that Folio can use a run directory written by an earlier version (November 2026).

usage: old_run_test.py FOLIO [--record]

old_run/ holds the text and config, the run after six steps (run/) and one that stopped at a
non-finite step (blown/). expected.json holds what that version's verbs printed about them.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "expected.json"
FOLIO = os.path.abspath(sys.argv[1])
RECORD = "--record" in sys.argv

COMMANDS = {
    "eval": ["eval", "run"],
    "eval_best_train": ["eval", "run", "--checkpoint", "best", "--split", "train"],
    "greedy": ["sample", "run", "--greedy", "--max-tokens", "30", "--prompt", "my lord"],
    "sample": ["sample", "run", "--seed", "3", "--max-tokens", "40", "--prompt", "my lord"],
    "verify": ["verify", "run"],
    "replay": ["replay", "blown"],
    "resume": ["train", "--resume", "--run", "run", "--set", "train.steps=9"],
    "eval_resumed": ["eval", "run"],
}


class OldRun(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="folio-old-run-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        shutil.copytree(HERE / "old_run", cls.folder, dirs_exist_ok=True)
        cls.output = {name: cls.folio(*command) for name, command in COMMANDS.items()}
        if RECORD:
            plain = {name: re.sub(r"^reading .*\n", "", text) for name, text in cls.output.items()}
            EXPECTED.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
        cls.expected = json.loads(EXPECTED.read_text())

    @classmethod
    def folio(cls, *arguments):
        result = subprocess.run([FOLIO, *arguments], cwd=cls.folder, capture_output=True, text=True,
                                check=False, timeout=120)
        assert result.returncode == 0, (arguments, result.stderr)
        return result.stdout

    def assert_close(self, seen, wanted):
        """Whether words are the same, and numbers up to rounding, which differs between CPUs."""
        number = r"-?\d+\.\d+(?:e[+-]?\d+)?"
        self.assertEqual(re.sub(number, "#", seen), re.sub(number, "#", wanted))
        for a, b in zip(re.findall(number, seen), re.findall(number, wanted), strict=True):
            self.assertAlmostEqual(float(a), float(b), delta=2e-4 * max(1.0, abs(float(b))))

    def test_evaluates(self):
        for name in ("eval", "eval_best_train", "eval_resumed"):
            with self.subTest(name):
                seen, wanted = json.loads(self.output[name]), json.loads(self.expected[name])
                self.assertEqual({**wanted, **seen}.keys(), seen.keys())
                for key, value in wanted.items():
                    if isinstance(value, float):
                        self.assertAlmostEqual(seen[key], value, delta=1e-4 * value, msg=key)
                    else:
                        self.assertEqual(seen[key], value, key)

    def test_samples(self):
        for name in ("greedy", "sample"):
            self.assertEqual(self.output[name], self.expected[name])

    def test_verifies(self):
        self.assertEqual(self.output["verify"], self.expected["verify"])

    def test_replays(self):
        first = lambda text: [line for line in text.splitlines() if line.startswith("first ")]
        self.assertEqual(first(self.output["replay"]), first(self.expected["replay"]))
        self.assertIn("the same as recorded: attention after blocks.0.attention.qkv",
                      self.output["replay"])

    def test_resumes(self):
        self.assertIn("resume  step_6, after step 6", self.output["resume"])
        steps = re.compile(r"^step [789].*?loss [\d.]+", re.MULTILINE)
        seen, wanted = (steps.findall(text[name]) for text, name in
                        ((self.output, "resume"), (self.expected, "resume")))
        self.assertEqual(len(wanted), 4)
        self.assert_close("\n".join(seen), "\n".join(wanted))
        lines = [json.loads(line) for line in
                 (self.folder / "run/metrics.jsonl").read_text().splitlines()]
        self.assertEqual([line["step"] for line in lines if "grad_norm" in line], [*range(1, 10)])

    def test_reports(self):
        page = self.folder / "report.html"
        self.folio("report", "run", "--out", str(page))
        text = page.read_text()
        for piece in ("<svg", "config.yaml", "width", "3.35"):
            self.assertIn(piece, text)


if RECORD:
    sys.argv.remove("--record")
unittest.main(argv=[sys.argv[0]])
