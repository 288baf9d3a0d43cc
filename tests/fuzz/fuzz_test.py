"""Tests folio_fuzz itself: whether it detects every kind of failure, and whether its inputs are
reproducible.

usage: fuzz_test.py FOLIO_FUZZ [SANITIZERS]      SANITIZERS: those of -fsanitize, such as address
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

FOLIO_FUZZ, SANITIZERS = "", ""


class FuzzTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="folio-fuzz-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def fuzz(self, *arguments):
        return subprocess.run([FOLIO_FUZZ, *arguments, "--save", self.folder], text=True,
                              capture_output=True, timeout=240, check=False)

    def assert_noticed(self, target, said, *arguments):
        """Checks that the failure is detected, and that the saved input reproduces it."""
        result = self.fuzz(target, *arguments)
        self.assertEqual(result.returncode, 1, result)
        self.assertRegex(result.stdout + result.stderr, said)
        written = self.folder / f"fuzz-{target}-1-1"
        self.assertEqual(written.read_bytes(), b"fault")
        self.assertIn(str(written), result.stdout)
        repeat = re.search(r"repeat  folio_fuzz (.*)", result.stdout)[1].split()
        for again in (repeat, [target, "--file", str(written)]):
            result = self.fuzz(*again, *arguments)
            self.assertEqual(result.returncode, 1, result)
            self.assertRegex(result.stdout + result.stderr, said)

    def test_every_fault_is_noticed(self):
        self.assert_noticed("faulty_exception", "FAILED: .*not ours")
        self.assert_noticed("faulty_hang", "FAILED: .*took more than 1 s", "--seconds", "1")
        self.assert_noticed("faulty_memory", "FAILED: .*took 2097152 bytes of memory for 5 of input")
        self.assert_noticed("faulty_huge_size", "FAILED: .*took 1099511627776 bytes")
        self.assert_noticed("faulty_tensor", "FAILED: .*took 4[0-9]{6} bytes")
        self.assert_noticed("faulty_signal", "SEGV|signal 11")
        self.assert_noticed("faulty_stack", "stack-overflow|signal 11")

    def test_what_only_sanitizers_notice(self):
        if "address" not in SANITIZERS:
            self.skipTest("built without AddressSanitizer")
        self.assert_noticed("faulty_overrun", "heap-buffer-overflow")
        leak = self.fuzz("faulty_leak", "--inputs", "5")
        self.assertEqual(leak.returncode, 1, leak)
        self.assertIn("LeakSanitizer: detected memory leaks", leak.stderr)
        self.assertIn("FAILED after the last of 5 inputs", leak.stdout)
        if "undefined" in SANITIZERS:
            self.assert_noticed("faulty_shift", "runtime error: shift exponent")

    def test_inputs_are_the_same_again(self):
        count = r"config: (\d+ accepted, \d+ refused) \(seed"
        first, again, other = (re.match(count, self.fuzz("config", "--inputs", "400", "--seed",
                                                         seed).stdout)[1] for seed in "556")
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_unknown_target(self):
        result = self.fuzz("confg")
        self.assertEqual(result.returncode, 2)
        self.assertIn("folio_fuzz: error: confg: unknown target; the targets are: all, config",
                      result.stderr)


if __name__ == "__main__":
    FOLIO_FUZZ = sys.argv[1]
    SANITIZERS = sys.argv.pop(2) if len(sys.argv) > 2 else ""
    del sys.argv[1]
    unittest.main()
