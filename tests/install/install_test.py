"""Installs the build to a new prefix, and builds and runs the programs of docs/library.md and examples/
with it: usage install_test.py BUILD_DIR SOURCE_DIR CXX_COMPILER."""

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
    """Each test builds against one installation, outside the tree."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        run("cmake", "--install", BUILD, "--prefix", cls.folder / "prefix")
        cls.text = cls.folder / "text.txt"
        cls.text.write_text("To be, or not to be, that is the question.\n" * 200)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def build(self, source):
        build = self.folder / source.name
        run("cmake", "-G", "Ninja", "-S", source, "-B", build,
            f"-DCMAKE_PREFIX_PATH={self.folder / 'prefix'}", f"-DCMAKE_CXX_COMPILER={COMPILER}",
            "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wshadow -Werror")
        run("cmake", "--build", build)
        return build

    def losses(self, printed):
        return [float(loss) for loss in re.findall(r"loss ([0-9.]+)", printed)]

    def test_the_program_and_the_license_are_installed(self):
        prefix = self.folder / "prefix"
        self.assertTrue((prefix / "bin" / "folio").exists())
        self.assertTrue((prefix / "share" / "licenses" / "folio" / "LICENSE").exists())

    def test_find_package_builds_and_trains_the_example(self):
        printed = run(self.build(CONSUMER) / "consumer", self.text, cwd=self.folder)
        losses = self.losses(printed)
        self.assertEqual(len(losses), 4, printed)
        self.assertGreater(losses[0], 2.5, "untrained: nearly uniform over 16 characters")
        self.assertLess(losses[-1], 0.5, "the sentence repeats and is learned")

    def test_the_examples_do_what_they_say(self):
        build = self.build(SOURCE / "examples")
        for source in (SOURCE / "examples").glob("*.cpp"):
            self.assertLess(len(source.read_text().splitlines()), 120, source.name)
        printed = run(build / "spirals")
        self.assertGreater(float(re.search(r"accuracy ([0-9.]+)", printed)[1]), 0.99, printed)
        printed = run(build / "lstm", self.text)
        self.assertLess(self.losses(printed)[-1], 0.2, printed)
        printed = run(build / "sort_digits")
        right, of = re.search(r"(\d+) of (\d+) digits are right", printed).groups()
        self.assertGreater(int(right), 0.97 * int(of), printed)
        printed = run(build / "lora", self.folder / "base.safetensors")
        base, before, adapted = map(float, re.findall(r"error ([0-9.]+)", printed))
        self.assertLess(base, 0.01, printed)
        self.assertGreater(before, 0.2, printed)
        self.assertLess(adapted, 0.05, printed)
        self.assertIn("passed", run(build / "own_op"))
        printed = run(build / "ranks")
        self.assertLess(self.losses(printed)[-1], 0.1 * self.losses(printed)[0], printed)

    def test_the_documentation_shows_this_example(self):
        page = (SOURCE / "docs/library.md").read_text()
        self.assertIn((CONSUMER / "main.cpp").read_text().strip(), page)


if __name__ == "__main__":
    os.environ.pop("DESTDIR", None)
    unittest.main(argv=sys.argv[:1], verbosity=2)
