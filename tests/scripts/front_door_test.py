"""Tests of scripts/shakespeare, curve, test and setup, with stand-ins for the programs that they call."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

FOLIO = """#!/usr/bin/env python3
import json, pathlib, sys
arguments = sys.argv[1:]
with open("called", "a") as called:
    called.write(json.dumps(arguments) + "\\n")
if arguments[0] == "train":
    run = pathlib.Path(arguments[arguments.index("--run") + 1])
    run.mkdir()
    fraction = "0" if "data.validation_fraction=0" in arguments else "0.1"
    (run / "config.yaml").write_text(f"data:\\n  validation_fraction: {fraction}  # of the text\\n")
    (run / "metrics.jsonl").write_text('{"step":1,"tokens_per_second":7.0}\\n{"step":1,"val_loss":4.0}\\n')
    if "train.checkpoint_every=0" not in arguments:
        (run / "checkpoints" / "step_1").mkdir(parents=True)
        (run / "checkpoints" / "step_1" / "state.json").write_text("{}")
    for step in (0, 250):
        (run / "samples").mkdir(exist_ok=True)
        (run / "samples" / f"step_{step}.txt").write_text(f"written after {step}")
if arguments[0] == "report":
    print(arguments[1] + "/report.html")
if arguments[0] == "eval":
    split = arguments[arguments.index("--split") + 1] if "--split" in arguments else "val"
    print(json.dumps({"split": split, "loss": 1.5, "perplexity": 4.48, "tokens": 1000}))
"""


class FrontDoorTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        self.root = self.folder / "folio"
        self.caller = self.folder / "caller"
        self.caller.mkdir()
        self.put("scripts/setup", "#!/bin/sh\n")
        self.put("scripts/build", "#!/bin/sh\n")
        self.put("scripts/get_data", '#!/bin/sh\necho "${FOLIO_DATA_DIR}/tinyshakespeare.txt"\n')
        self.put("build/release/folio", FOLIO)
        for name in ("shakespeare", "curve", "new_run.sh", "test"):
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts" / name)

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run_script(self, name, *arguments, path="", **environment):
        full = {key: value for key, value in os.environ.items() if not key.startswith("FOLIO_")}
        full |= environment | {"PATH": path + os.environ["PATH"]}
        return subprocess.run([self.root / "scripts" / name, *arguments], env=full, text=True,
                              cwd=self.caller, capture_output=True, timeout=60, check=False)

    def shakespeare(self, *arguments, **environment):
        result = self.run_script("shakespeare", *arguments, **environment)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def called(self):
        return (self.root / "called").read_text()

    def test_the_text_found_and_the_summary(self):
        said = self.shakespeare(FOLIO_DATA_DIR="../data")
        text = self.caller / ".." / "data" / "tinyshakespeare.txt"
        self.assertIn(f"text: {text}\n", said)
        self.assertIn(f'"--set", "data.text={text}"', self.called())
        self.assertIn("validation loss  1.5000  (the whole split, 1,000 tokens; perplexity 4.48)", said)
        self.assertIn("folio sample runs/shakespeare --prompt", said)
        self.assertIn("runs/shakespeare-2\n", self.shakespeare(FOLIO_DATA_DIR="../data"))

    def test_a_text_of_the_callers(self):
        (self.caller / "my.txt").write_text("Mine.")
        for arguments in (("--set", "train.steps=5", "data.text=my.txt"), ("--set=data.text=my.txt",)):
            self.assertIn(f"text: {self.caller}/my.txt\n", self.shakespeare(*arguments))
            self.assertIn(f"data.text={self.caller}/my.txt", self.called().splitlines()[-2])

    def test_without_checkpoints(self):
        said = self.shakespeare("--set", "train.checkpoint_every=0", FOLIO_DATA_DIR="/data")
        self.assertIn("validation loss  4.0000  (some batches)", said)
        self.assertIn("no checkpoint to sample from", said)
        self.assertNotIn("folio sample", said)

    def test_without_a_validation_split(self):
        said = self.shakespeare("--set", "data.validation_fraction=0", FOLIO_DATA_DIR="/data")
        self.assertIn("training loss    1.5000", said)

    def test_what_the_scripts_choose_themselves(self):
        for script in ("shakespeare", "curve"):
            self.put("configs/shakespeare_curve.yaml", "")
            for option in ("--run", "--run=x", "--resume"):
                result = self.run_script(script, option)
                self.assertEqual(result.returncode, 1)
                self.assertIn(f"{script}: error: ", result.stderr)
                self.assertIn("build/release/folio train", result.stderr)

    def test_the_curve(self):
        (self.caller / "mine.yaml").write_text("")
        (self.caller / "my.txt").write_text("Mine.")
        result = self.run_script("curve", "--config", "mine.yaml", "--set", "data.text=my.txt")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn(f'["train", "{self.caller}/mine.yaml", "--run", "runs/mine", "--set", '
                      f'"data.text={self.caller}/my.txt"]', self.called())
        said = result.stdout
        parts = ["--- after 0 steps ---\nwritten after 0", "--- after 250 steps ---", '"loss": 1.5',
                 "report  runs/mine/report.html", "folio explain runs/mine"]
        self.assertEqual(sorted(map(said.index, parts)), list(map(said.index, parts)))
        result = self.run_script("curve", "--config", "none.yaml")
        self.assertEqual(result.returncode, 1)
        self.assertIn("none.yaml was not found", result.stderr)

    def test_the_tests_get_the_text_of_the_script(self):
        self.put("bin/ctest", "#!/bin/sh\necho \"$FOLIO_TEST_TEXT in $FOLIO_CACHE_DIR\"\n"
                              "echo '100% tests passed, 0 tests failed out of 3'\n")
        result = self.run_script("test", path=f"{self.root}/bin:", FOLIO_DATA_DIR="/data",
                                 FOLIO_CACHE_DIR="cache")
        self.assertIn(f"/data/tinyshakespeare.txt in {self.caller}/cache\n", result.stdout)
        self.assertTrue(result.stdout.endswith("3 passed, 0 failed\n"), result.stdout)

    def test_an_old_cmake(self):
        shutil.copy(ROOT / "scripts" / "setup", self.root / "scripts" / "setup")
        for version, code in (("3.22.1", 1), ("3.25.0", 0), ("3.31.6", 0), ("4.0.1", 0)):
            self.put("bin/cmake", f"#!/bin/sh\necho 'cmake version {version}'\n")
            # Pretends that all packages are installed.
            self.put("bin/dpkg-query", "#!/bin/sh\nshift 2\nprintf 'installed %s\\n' \"$@\"\n")
            self.put("bin/apt-get", "#!/bin/sh\nexit 1\n")
            result = self.run_script("setup", path=f"{self.root}/bin:")
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertEqual("needs 3.25 or newer" in result.stderr, code == 1)


if __name__ == "__main__":
    unittest.main()
