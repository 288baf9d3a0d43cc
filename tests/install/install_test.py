"""Installs the build to a new prefix, builds the example of docs/library.md against it, outside the tree, and
trains it: usage install_test.py BUILD_DIR SOURCE_DIR CXX_COMPILER."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE, COMPILER = (pathlib.Path(argument) for argument in sys.argv[1:4])
CONSUMER = SOURCE / "tests" / "install" / "consumer"


def run(*command, cwd=None):
    result = subprocess.run([str(part) for part in command], cwd=cwd, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        raise AssertionError(f"{command} exited with {result.returncode}:\n{result.stdout}")
    return result.stdout


class Install(unittest.TestCase):
    def test_find_package_builds_and_trains_the_example(self):
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            run("cmake", "--install", BUILD, "--prefix", scratch / "prefix")
            self.assertTrue((scratch / "prefix" / "bin" / "folio").exists())
            self.assertTrue((scratch / "prefix" / "share" / "licenses" / "folio" / "LICENSE").exists())
            run("cmake", "-G", "Ninja", "-S", CONSUMER, "-B", scratch / "build",
                f"-DCMAKE_PREFIX_PATH={scratch / 'prefix'}", f"-DCMAKE_CXX_COMPILER={COMPILER}",
                "-DCMAKE_BUILD_TYPE=Release")
            run("cmake", "--build", scratch / "build")
            text = scratch / "text.txt"
            text.write_text("To be, or not to be, that is the question.\n" * 200)
            printed = run(scratch / "build" / "consumer", text, cwd=scratch)
            losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", printed)]
            self.assertEqual(len(losses), 4, printed)
            self.assertGreater(losses[0], 2.5, "untrained: nearly uniform over 16 characters")
            self.assertLess(losses[-1], 0.5, "the sentence repeats and is learned")

    def test_the_documentation_shows_this_example(self):
        page = (SOURCE / "docs/library.md").read_text()
        example = (CONSUMER / "main.cpp").read_text()
        self.assertIn(example.strip(), page)


if __name__ == "__main__":
    os.environ.pop("DESTDIR", None)
    unittest.main(argv=sys.argv[:1], verbosity=2)
