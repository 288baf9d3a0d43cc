"""Tests of scripts/lint in a small repository, with stand-ins for clang-format and clang-tidy."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Reports files that contain "badly", and fixes them.
CLANG_FORMAT = """#!/bin/sh
[ "$1" != --version ] || { echo "Debian clang-format version VERSION"; exit; }
if [ "$1" = -i ]; then shift; sed -i s/badly/well/ "$@"; exit; fi
shift
for file in $(grep -l badly "$@"); do
  echo "$file:1:1: warning: code should be clang-formatted [-Wclang-format-violations]" >&2
done
"""
CLANG_TIDY = """#!/bin/sh
[ "$1" != --version ] || { echo "  Debian LLVM version VERSION"; exit; }
for file in "$@"; do :; done
echo "$file" >>called
! grep -n "0 / 0" "$file"
"""


class LintTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for path in ("scripts/lint", "tests/lint/includes.py"):
            (self.root / path).parent.mkdir(parents=True)
            shutil.copy(ROOT / path, self.root / path)
        for name in ("bash", "sh", "cat", "comm", "dirname", "env", "git", "grep", "head", "nproc",
                     "python3", "sed", "sort", "xargs"):  # excludes the machine's own clang-format
            self.put(f"bin/{name}", f'#!/bin/sh\nexec {shutil.which(name)} "$@"\n')
        self.put("bin/clang-format-14", CLANG_FORMAT.replace("VERSION", "14.0.6"))
        self.put("bin/clang-tidy-14", CLANG_TIDY.replace("VERSION", "14.0.6"))
        self.put("a.cpp", "#include <string>\nstd::string well;\n")
        self.put("b.cpp", '#include "b.h"\n')
        self.put("b.h", "int b();\n")
        self.put("build/release/compile_commands.json",
                 json.dumps([{"file": f"{self.root}/{name}"} for name in ("a.cpp", "b.cpp")]))
        self.git("init", "--quiet")
        self.git("add", "a.cpp", "b.cpp", "b.h")
        self.git("commit", "--quiet", "--message=first")

    def put(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.parent.name == "bin":
            path.chmod(0o755)

    def git(self, *arguments):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], check=True,
                       cwd=self.root)

    def lint(self, *arguments):
        return subprocess.run([shutil.which("bash"), self.root / "scripts" / "lint", *arguments],
                              capture_output=True, text=True,
                              env={**os.environ, "PATH": str(self.root / "bin")})

    def check(self, result, code, *texts):
        self.assertEqual(result.returncode, code, result.stderr)
        for text in texts:
            self.assertIn(text, result.stderr)
        if code == 0:
            self.assertEqual(result.stderr, "")

    def tidied(self):
        called = self.root / "called"
        lines = sorted(called.read_text().split()) if called.exists() else []
        called.unlink(missing_ok=True)
        return lines

    def test_clean_sources(self):
        self.check(self.lint(), 0)

    def test_a_source_that_is_badly_formatted_is_named_and_mended(self):
        self.put("a.cpp", "int badly;\n")
        self.check(self.lint(), 1, "lint: error: clang-format 14 would change:\na.cpp\n",
                   "scripts/lint --fix")
        self.check(self.lint("--fix"), 0)
        self.check(self.lint(), 0)
        self.assertEqual((self.root / "a.cpp").read_text(), "int well;\n")

    def test_a_missing_include(self):
        self.put("a.cpp", "\nstd::string well;\n")
        self.check(self.lint(), 1, "a.cpp:2: std::string needs <string>\nlint: error: ")

    def test_a_deleted_source_is_not_asked_for(self):
        (self.root / "a.cpp").unlink()
        self.check(self.lint(), 0)

    def test_clang_format_of_another_version(self):
        (self.root / "bin" / "clang-format-14").unlink()
        self.check(self.lint(), 1, "lint: error: ", "clang-format-14")
        self.put("bin/clang-format", CLANG_FORMAT.replace("VERSION", "19.1.7"))
        self.check(self.lint(), 1, "19.1.7", "apt-get install clang-format-14")
        self.put("bin/clang-format", CLANG_FORMAT.replace("VERSION", "14.0.0"))
        self.check(self.lint(), 0)

    def test_clang_tidy_over_all_over_some_and_over_what_changed(self):
        self.check(self.lint("--tidy"), 0)
        self.assertEqual(self.tidied(), ["a.cpp", "b.cpp"])
        self.check(self.lint("--tidy", "a.cpp"), 0)
        self.assertEqual(self.tidied(), ["a.cpp"])
        self.check(self.lint("--tidy", "--since", "HEAD"), 0)
        self.assertEqual(self.tidied(), [])
        self.put("b.h", "long b();\n")
        self.check(self.lint("--tidy", "--since", "HEAD"), 0)
        self.assertEqual(self.tidied(), ["b.cpp"])
        self.put("a.cpp", "int a;\n")
        result = self.lint("--tidy", "--since", "HEAD", "--at-most", "1")
        self.assertEqual(result.returncode, 0)
        self.assertIn("lint: 1 of 2 units that differ were left out", result.stderr)
        self.assertEqual(self.tidied(), ["a.cpp"])
        self.put("a.cpp", "int a = 0 / 0;\n")
        self.check(self.lint("--tidy"), 1, "1:int a = 0 / 0;", "lint: error: clang-tidy found")
        self.assertEqual(self.tidied(), ["a.cpp", "b.cpp"])

    def test_what_cannot_be_tidied(self):
        self.check(self.lint("--tidy", "c.cpp"), 1, "lint: error: c.cpp is not in build/release")
        self.check(self.lint("--tidy", "--since", "nothing"), 1, "lint: error: ", "'nothing'")
        (self.root / "build" / "release" / "compile_commands.json").unlink()
        self.check(self.lint("--tidy"), 1, "lint: error: ", "scripts/build")

    def test_an_unknown_argument(self):
        self.check(self.lint("--all"), 1, "lint: error: unknown argument '--all'")


if __name__ == "__main__":
    unittest.main()
