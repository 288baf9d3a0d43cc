"""Tests of gpu_check in scripts/, without a GPU: what it reads and writes, and how it handles failed stages."""

import array
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "gpu_check"
sys.dont_write_bytecode = True

loader = importlib.machinery.SourceFileLoader("gpu_check", str(SCRIPT))
gpu_check = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
loader.exec_module(gpu_check)

LLM_C_OUTPUT = """\
| weight init method    | d12                                                |
step    1/4 | loss 10.973900 (+nanz)| norm 15.3000 (+nanz)| lr 1.00e-04 | 900.00 ms | 10.1% bf16 MFU | 18204 tok/s
step    2/4 | loss 10.123400 (+nanz)| norm 8.3000 (+nanz)| lr 1.00e-04 | 90.00 ms | 50.1% bf16 MFU | 182044 tok/s
step    3/4 | loss 9.523400 (+0.10z)| norm 4.3000 (-0.20z)| lr 1.00e-04 | 40.00 ms | 50.1% bf16 MFU | 209600 tok/s
step    4/4 | loss 9.323400 (+0.10z)| norm 4.1000 (-0.20z)| lr 1.00e-04 | 42.00 ms | 50.1% bf16 MFU | 309600 tok/s
total average iteration time: 57.333333 ms
"""


class GpuCheckTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def check(self, **stages):
        """Runs the stages; returns the rows by name and the output, and checks the rows of the file."""
        printed = io.StringIO()
        out = self.folder / "somewhere" / "rows.json"
        with contextlib.redirect_stdout(printed):
            rows = gpu_check.check(stages, stages, out)
        self.assertEqual(json.loads(out.read_text()), rows)
        return {row["stage"]: row for row in rows}, printed.getvalue()

    def test_a_stage_that_fails_stops_no_other(self):
        def failing(scratch):
            raise gpu_check.Failed("it is too slow")

        def faulty(scratch):
            return {}[0].fields

        rows, printed = self.check(first=failing, second=faulty, third=lambda scratch: ("well", dict(a=1)))
        self.assertEqual([row["result"] for row in rows.values()], ["failed", "failed", "passed"])
        self.assertEqual(rows["first"]["found"], "it is too slow")
        self.assertIn("KeyError", rows["second"]["found"])
        self.assertEqual(rows["third"]["fields"], dict(a=1))
        for name in rows:
            self.assertIn(name, printed)

    def test_without_a_build_the_rest_is_skipped_and_reported(self):
        def failing(scratch):
            raise gpu_check.Failed("no compiler")

        rows, _ = self.check(preflight=lambda scratch: ("a GPU", {}), build=failing,
                             tests=lambda scratch: self.fail("it ran"))
        self.assertEqual([row["result"] for row in rows.values()], ["passed", "failed", "skipped"])
        self.assertEqual(rows["tests"]["found"], "build failed")

    def test_llm_c_is_skipped_with_the_reason(self):
        for checkout, reason in ((None, "--llm-c"), (self.folder, "no train_gpt2.cu")):
            gpu_check.LLM_C = checkout
            rows, _ = self.check(llm_c=gpu_check.llm_c)
            self.assertEqual(rows["llm_c"]["result"], "skipped")
            self.assertIn(reason, rows["llm_c"]["found"])

    def test_mends_llm_c_for_cuda_13_alone(self):
        (self.folder / "llmc").mkdir()
        path = self.folder / "llmc" / "cuda_utils.cuh"
        text = "cudaMemAdvise(*out, bytes, cudaMemAdviseSetPreferredLocation, cudaCpuDeviceId);\n"
        path.write_text(text)
        gpu_check.mend_llm_c(self.folder, 12)
        self.assertEqual(path.read_text(), text)
        gpu_check.mend_llm_c(self.folder, 13)
        self.assertIn("bytes, cudaMemAdviseSetPreferredLocation, cudaMemLocation{", path.read_text())

    def test_reads_llm_cs_steps(self):
        # The median of the last half, 40 and 42 ms.
        self.assertEqual(gpu_check.llm_c_speed(LLM_C_OUTPUT, 16384), round(16384 / 0.041))
        with self.assertRaisesRegex(gpu_check.Failed, "no step: .*out of memory"):
            gpu_check.llm_c_speed("[CUDA ERROR] out of memory\n", 16384)

    def test_writes_llm_cs_tokens(self):
        path = self.folder / "tokens.bin"
        gpu_check.write_llm_c_tokens(path, 1001, 50257)
        data = path.read_bytes()
        self.assertEqual(len(data), 256 * 4 + 1001 * 2)
        header = array.array("i", data[:1024])
        self.assertEqual(list(header[:4]), [20240520, 1, 1001, 0])
        tokens = array.array("H", data[1024:])
        self.assertLess(max(tokens), 50257)
        self.assertGreater(len(set(tokens)), 900)

    def test_reads_the_speed_of_a_sample(self):
        self.assertEqual(gpu_check.sample_speed("t1 t2\nspeed   500 tokens in 0.400 s: 1250.0 tokens/s\n"), 1250.0)
        with self.assertRaisesRegex(gpu_check.Failed, "printed no speed"):
            gpu_check.sample_speed("t1 t2\n")

    def test_a_program_that_takes_too_long_goes_with_all_that_it_started(self):
        mark = self.folder / "pid"
        with self.assertRaisesRegex(gpu_check.Failed, "took more than 2 s"):
            gpu_check.run("sh", "-c", f"sleep 1000 & echo $! > {mark}; wait", timeout=2)
        stat = pathlib.Path(f"/proc/{int(mark.read_text())}/stat")
        for _ in range(100):  # it has ended, or is a zombie
            if not stat.exists() or stat.read_text().split(")")[-1].split()[0] == "Z":
                return
            time.sleep(0.1)
        self.fail("the grandchild is still running")

    def test_leaves_out_the_tests_that_ctest_leaves_out(self):
        cmake = (ROOT / "tests" / "cuda" / "cuda_tests.cmake").read_text()
        self.assertIn(f'set(cpu_tests "{gpu_check.CPU_TESTS}")', cmake)

    def test_counts_tests_and_takes_none_that_was_skipped(self):
        def program_that_prints(text):
            path = self.folder / "kernels_test"
            path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
            path.chmod(0o755)

        self.packed()
        program_that_prints("[==========] 2 tests ran.\n[  PASSED  ] 2 tests.")
        self.assertEqual(gpu_check.gtest("kernels_test", "*"), 2)
        program_that_prints("[==========] 0 tests ran.\n[  PASSED  ] 0 tests.")
        with self.assertRaisesRegex(gpu_check.Failed, "no tests"):
            gpu_check.gtest("kernels_test", "Nothing*")
        program_that_prints("[  PASSED  ] 1 test.\n[  SKIPPED ] 1 test, listed below:")
        with self.assertRaisesRegex(gpu_check.Failed, "skipped"):
            gpu_check.gtest("kernels_test", "*")

    def packed(self):
        self.addCleanup(setattr, gpu_check, "PACKED", None)
        environment = unittest.mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        gpu_check.use_packed(self.folder)

    def test_runs_what_was_packed_with_its_libraries_and_its_text(self):
        self.packed()
        self.assertEqual(gpu_check.program("folio"), self.folder.resolve() / "folio")
        self.assertEqual(os.environ["FOLIO_DATA_DIR"], str(self.folder.resolve()))
        self.assertTrue(os.environ["LD_LIBRARY_PATH"].startswith(str(self.folder.resolve() / "lib")))

    def test_a_folder_that_was_not_packed_is_refused(self):
        for name, said in ((self.folder, "it has no folio"), (self.folder / "nothing", "it has no folio")):
            result = subprocess.run([sys.executable, SCRIPT, "--packed", name], capture_output=True, text=True)
            self.assertEqual(result.returncode, 2)
            self.assertIn(said, result.stderr)

    def test_gpu_pack_refuses_what_it_does_not_know(self):
        for arguments, code, said in (((), 2, "usage: scripts/gpu_pack DIR"),
                                      (("--capability", "ninety", self.folder), 1, "--capability ninety"),
                                      ((self.folder, self.folder), 1, "one DIR only"), (("--fast",), 1, "--fast")):
            result = subprocess.run([ROOT / "scripts" / "gpu_pack", *arguments], capture_output=True, text=True)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(said, result.stderr)
            self.assertEqual(list(self.folder.iterdir()), [])

    def test_the_loss_of_another_text_is_not_judged(self):
        def trained(directory, config, *overrides):
            directory.mkdir()
            (directory / "text.json").write_text(json.dumps(dict(bytes=self.bytes)))
            return [dict(tokens_per_second=1000.0)], ""

        for self.bytes, loss, result in ((gpu_check.TINY_SHAKESPEARE, 1.46, "passed"),
                                         (gpu_check.TINY_SHAKESPEARE, 1.48, "failed"), (4792726, 1.6, "skipped")):
            with unittest.mock.patch.multiple(gpu_check, train=trained, run=lambda *a: json.dumps(dict(loss=loss))):
                rows, _ = self.check(shakespeare=gpu_check.shakespeare)
            self.assertEqual(rows["shakespeare"]["result"], result)
            self.assertIn(f"{loss:.4f}", rows["shakespeare"]["found"])

    def test_lists_its_stages(self):
        listed = subprocess.run([sys.executable, SCRIPT, "--list"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(listed.split(), list(gpu_check.STAGES))
        self.assertIn("llm_c", listed)


if __name__ == "__main__":
    unittest.main()
