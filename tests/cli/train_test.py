"""Tests `folio train`: its output, its refusals, and that errors leave files unchanged.

usage: train_test.py FOLIO
"""

import fcntl
import os
import pathlib
import pty
import re
import resource
import shutil
import struct
import subprocess
import termios

import program
from program import TEXT, CliTest


class TrainTest(CliTest):
    def test_output_when_piped(self):
        result = self.folio("train", self.config, "--run", self.folder / "run")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for said in (f"{len(TEXT):,} characters", "parameters", "threads", "step 6/6",
                     "validation loss", "tokens/s", "folio sample"):
            self.assertIn(said, result.stdout)
        self.assertNotIn("\r", result.stdout)
        self.assertNotIn("\033", result.stdout)

    def test_overrides(self):
        result = self.folio("train", "--set", "train.seed=5", "train.eval_every=0", self.config,
                            "--run", self.folder / "run", "--set", "train.sample_at=[]")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        config = (self.folder / "run" / "config.yaml").read_text()
        self.assertRegex(config, r"seed: 5\b")

    def test_default_run_directory(self):
        for name in ("tiny", "tiny-2"):
            self.assertEqual(self.folio("train", self.config).returncode, 0)
            self.assertTrue((self.folder / "runs" / name / "metrics.jsonl").exists())

    def test_same_command_same_bits(self):
        again = self.folder / "again"
        self.folio("train", self.config, "--run", again)
        self.assertEqual(self.tree(again / "checkpoints"), self.tree(self.trained / "checkpoints"))

    def test_stop_and_resume(self):
        run = self.folder / "run"
        result = self.folio("train", self.config, "--run", run, "--stop-at", "2")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("--resume", result.stdout)
        self.assertEqual(self.folio("train", "--resume", "--run", run).returncode, 0)
        self.assertEqual(self.tree(run / "checkpoints" / "step_6"),
                         self.tree(self.trained / "checkpoints" / "step_6"))
        result = self.folio("train", "--resume", "--run", run)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("6 steps are done", result.stdout)

    def test_missing_files(self):
        self.assert_refused("nowhere.yaml", parts=["nowhere.yaml"])
        self.assert_refused(self.config, "--set", "data.text=/no/where.txt", parts=["/no/where.txt"])

    def test_empty_text(self):
        self.assert_refused(*self.with_text(""), parts=["text.txt", "empty"])

    def test_text_shorter_than_context(self):
        self.assert_refused(*self.with_text("To be."), parts=["text.txt", "a context of 16"])

    def test_invalid_utf8(self):
        self.assert_refused(*self.with_text(b"To be\xff or not"), parts=["text.txt", "byte 5", "0xff"])

    def test_bf16_on_a_cpu_without_it(self):
        without = {"env": {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}}  # limits oneDNN to AVX2
        for verb, *rest in (("train", "--run", self.folder / "run"), ("plan",)):
            result = self.folio(verb, self.config, "--set", "train.precision=bf16", *rest, **without)
            self.assert_error(result, "train.precision: this device does not multiply bf16",
                              "use precision: auto or f32")
        self.assertFalse((self.folder / "run").exists())
        result = self.folio("train", self.config, "--run", self.folder / "run", **without)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"(?m)^device  cpu, f32, ")
        # A run from another machine can be used: this run is bf16 if the CPU multiplies it.
        for verb in ("eval", "sample"):
            self.assertEqual(self.folio(verb, self.trained, **without).returncode, 0)

    def test_unknown_key(self):
        config = self.write("bad.yaml", "model:\n  widht: 16\n")
        self.assert_refused(config, parts=["bad.yaml:2:3", "widht", "model.width"])
        self.assert_refused(self.config, "--set", "model.widht=16",
                            parts=["--set model.widht", "model.width"])

    def test_wrong_type(self):
        config = self.write("bad.yaml", "model:\n  width: wide\n")
        self.assert_refused(config, parts=["bad.yaml:2:10", "wide"])

    def test_heads_that_do_not_divide_the_width(self):
        config = self.write("bad.yaml", "model:\n  width: 16\n  heads: 3\n")
        self.assert_refused(config, parts=["bad.yaml:3:10", "3", "16"])

    def test_run_directory_that_exists(self):
        run = self.folder / "run"
        run.mkdir()
        (run / "precious").write_text("mine")
        self.assert_error(self.folio("train", self.config, "--run", run), run,
                          "contains other files, for example precious; choose another --run")
        self.assertEqual(self.tree(run), {pathlib.Path("precious"): b"mine"})
        before = self.tree(self.trained)
        self.assert_error(self.folio("train", self.config, "--run", self.trained), self.trained,
                          "the run directory exists and is not empty; choose another --run, or "
                          "continue it with --resume")
        self.assertEqual(self.tree(self.trained), before)

    def test_resume_of_another_model(self):
        run = self.copy_run()
        before = self.tree(run)
        self.assert_error(self.folio("train", "--resume", "--run", run, "--set", "model.width=32"),
                          "model.width")
        self.assertEqual(self.tree(run), before)

    def test_checkpoint_of_another_shape(self):
        wide = self.folder / "wide"
        self.folio("train", self.config, "--run", wide, "--set", "model.width=32")
        run = self.copy_run()
        shutil.rmtree(run / "checkpoints" / "step_6")
        shutil.copytree(wide / "checkpoints" / "step_6", run / "checkpoints" / "step_6")
        before = self.tree(run)
        for arguments in (("sample", run), ("eval", run)):
            self.assert_error(self.folio(*arguments), "step_6", "16)", "32)")
        result = self.folio("train", "--resume", "--run", run, "--set", "train.steps=9")
        self.assert_error(result, "step_6", "cannot change model.width;")
        self.assertEqual(self.tree(run), before)

    def test_no_space_for_the_checkpoint(self):
        run = self.folder / "run"
        limit = 8000  # the limit of a file's bytes: enough for metrics, too small for the weights

        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        # ThreadSanitizer first writes a file larger than that, if there is a place for it.
        no_place = dict(os.environ, TMPDIR="/no/where")
        result = self.folio("train", self.config, "--run", run, preexec_fn=small_files, env=no_place)
        self.assert_error(result, "checkpoints", "model.safetensors")
        self.assertEqual(list((run / "checkpoints").iterdir()), [])

        run = self.copy_run()
        before = self.tree(run / "checkpoints")
        result = self.folio("train", "--resume", "--run", run, "--set", "train.steps=9",
                            preexec_fn=small_files, env=no_place)
        self.assert_error(result, "checkpoints", "model.safetensors")
        self.assertEqual(self.tree(run / "checkpoints"), before)
        result = self.folio("train", "--resume", "--run", run, "--set", "train.steps=9")
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_no_space_for_anything(self):
        def no_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        no_place = dict(os.environ, TMPDIR="/no/where")  # because of ThreadSanitizer, as above
        run = self.folder / "new" / "run"
        self.assert_error(self.folio("train", self.config, "--run", run, preexec_fn=no_files, env=no_place), run)
        self.assertEqual(list(self.folder.iterdir()), [])
        # An empty directory that existed before remains.
        run.mkdir(parents=True)
        self.assert_error(self.folio("train", self.config, "--run", run, preexec_fn=no_files, env=no_place), run)
        self.assertEqual(list(run.iterdir()), [])
        self.assertEqual(self.folio("train", self.config, "--run", run).returncode, 0)

    def test_run_directory_that_cannot_be_made(self):
        blocker = self.write("file", "x")
        self.assert_error(self.folio("train", self.config, "--run", blocker / "run"), blocker)
        self.assertEqual(blocker.read_text(), "x")
        long_name = "x" * 300
        self.assert_error(self.folio("train", self.config, "--run", self.folder / "new" / long_name),
                          "File name too long")
        (self.folder / "loop").symlink_to("loop")
        for arguments in (("train", self.config, "--run", "loop"), ("sample", "loop"),
                          ("train", "--resume", "--run", "loop"), ("eval", long_name)):
            self.assert_error(self.folio(*arguments), "the directory cannot be accessed")

    def test_two_processes_and_one_run(self):
        run = self.folder / "run"
        long_run = ("--set", "train.steps=1000000", "train.eval_every=0", "train.sample_at=[]")
        with subprocess.Popen([program.FOLIO, "train", self.config, "--run", run, *long_run],
                              stdout=subprocess.PIPE, text=True) as first:
            try:
                while not (line := first.stdout.readline()).startswith("run "):
                    self.assertTrue(line, "the program ended without printing its run")
                self.assert_error(self.folio("train", "--resume", "--run", run), run,
                                  "is being trained by another process")
            finally:
                first.kill()
                first.stdout.read()
        # The killed program holds no lock.
        result = self.folio("train", "--resume", "--run", run, "--stop-at", "1")
        self.assertNotIn("another process", result.stderr)

    def test_training_goes_on_without_output(self):
        for name, close in (("full", False), ("gone", True)):
            run = self.folder / name
            if close:
                reader, writer = os.pipe()
                os.close(reader)
            else:
                writer = os.open("/dev/full", os.O_WRONLY)
            result = subprocess.run([program.FOLIO, "train", self.config, "--run", run], stdout=writer,
                                    stderr=subprocess.PIPE, timeout=120, check=False, text=True)
            os.close(writer)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertRegex(result.stderr, r"^folio: standard output cannot be written: .+; going "
                                            r"on without it\n$")
            self.assertEqual(self.tree(run / "checkpoints"), self.tree(self.trained / "checkpoints"))
            self.assertEqual(self.tree(run / "samples"), self.tree(self.trained / "samples"))

    def test_errors_that_cannot_be_written(self):
        for arguments in (("train", "nowhere.yaml"), ("frobnicate",)):
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = subprocess.run([program.FOLIO, *arguments], stderr=full, timeout=120, check=False,
                                        stdout=subprocess.DEVNULL)
            self.assertIn(result.returncode, (1, 2))

    def test_the_bar_fits_the_terminal(self):
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        with subprocess.Popen([program.FOLIO, "train", self.config, "--run", self.folder / "run",
                               "--set", "train.sample_at=[]"], stdout=its, text=True) as process:
            os.close(its)
            shown = b""
            try:
                while piece := os.read(ours, 4096):
                    shown += piece
            except OSError:  # the end, for a terminal
                pass
            os.close(ours)
        self.assertEqual(process.returncode, 0)
        bars = re.findall(r"\r\x1b\[K(\[[^\r\n]*)", shown.decode())
        self.assertTrue(bars and "step 6/6" in bars[-1], shown)
        self.assertLess(max(map(len, bars)), 40)


if __name__ == "__main__":
    program.main()
