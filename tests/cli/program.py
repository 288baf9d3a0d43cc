"""Helpers for the tests in this folder: the folio program, a tiny run, and checks of its errors."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

FOLIO = ""  # the program's path, set by main()

TEXT = "".join(f"{speaker}:\nSpeak, my lord, of night {i} and day.\n\n"
               for i in range(60) for speaker in ("HAMLET", "GHOST"))

CONFIG = """\
data:
  text: {text}
model: {{layers: 1, heads: 2, width: 16, context: 16}}
train:
  steps: 6
  batch: 4
  eval_every: 3
  eval_batches: 2
  checkpoint_every: 3
  sample_at: [0, 6]
  sample_tokens: 20
schedule: {{warmup: 2}}
"""


class CliTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory(prefix="folio-cli-")
        cls.addClassCleanup(cls.shared.cleanup)
        folder = pathlib.Path(cls.shared.name)
        (folder / "text.txt").write_text(TEXT)
        (folder / "tiny.yaml").write_text(CONFIG.format(text=folder / "text.txt"))
        cls.config = folder / "tiny.yaml"
        cls.trained = folder / "trained"
        subprocess.run([FOLIO, "train", cls.config, "--run", cls.trained], check=True,
                       stdout=subprocess.DEVNULL, timeout=120)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="folio-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def folio(self, *arguments, **options):
        return subprocess.run([FOLIO, *map(str, arguments)], capture_output=True, timeout=120,
                              cwd=self.folder, check=False, text=True, encoding="utf-8", **options)

    def assert_error(self, result, *parts, code=1):
        """Checks that stderr is one line that contains all parts."""
        self.assertEqual(result.returncode, code, result.stderr)
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("folio: error: "), lines[0])
        for part in parts:
            self.assertIn(str(part), lines[0])

    def assert_refused(self, *arguments, parts):
        """Checks that a refused new run leaves no files behind."""
        run = self.folder / "run"
        self.assert_error(self.folio("train", *arguments, "--run", run), *parts)
        self.assertFalse(run.exists())

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def with_text(self, content):
        return self.config, "--set", f"data.text={self.write('text.txt', content)}"

    def copy_run(self):
        return pathlib.Path(shutil.copytree(self.trained, self.folder / "copy"))

    @staticmethod
    def tree(folder):
        return {path.relative_to(folder): path.read_bytes()
                for path in sorted(folder.rglob("*")) if path.is_file()}


def main():
    """Runs the calling file's tests on the program named by the first argument."""
    global FOLIO
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(f"usage: {pathlib.Path(sys.argv[0]).name} FOLIO")
    FOLIO = os.path.abspath(sys.argv.pop(1))
    unittest.main()
