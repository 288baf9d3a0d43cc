"""Tests checkpoints with the real program: folio verify, --resume after damage, bad disks, and signals.

usage: checkpoints_test.py FOLIO
"""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import time

import program

DEADLINE = 100  # seconds after which a program counts as stuck


def damage(checkpoint):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


class VerifyTest(program.CliTest):
    def test_whole(self):
        result = self.folio("verify", self.trained)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        lines = result.stdout.splitlines()
        self.assertEqual(len(lines), 3)
        for line, name in zip(lines, ("step_3", "step_6", r"best  ")):
            self.assertRegex(line, rf"^{name}  whole, \d+\.\d kB")
        self.assertRegex(lines[-1], ", of step 6$")

    def test_damaged(self):
        run = self.copy_run()
        damage(run / "checkpoints" / "step_3")
        os.remove(run / "checkpoints" / "best" / "state.json")
        before = self.tree(run)
        result = self.folio("verify", run)
        self.assert_error(result, run, "2 of 3 checkpoints are damaged", "--resume")
        lines = result.stdout.splitlines()
        self.assertRegex(lines[0], r"^step_3  damaged: model\.safetensors: it has \d+ bytes but "
                                   r"state\.json says \d+ \(is it truncated\?\)$")
        self.assertRegex(lines[1], "^step_6  whole, ")
        self.assertEqual(lines[2], "best    damaged: state.json: cannot read: No such file or "
                                   "directory")
        self.assertEqual(self.tree(run), before)
        damage(run / "checkpoints" / "step_6")
        self.assert_error(self.folio("verify", run), run, "no checkpoint is whole")

    def test_nothing_to_verify(self):
        self.assert_error(self.folio("verify", self.folder / "no"), "there is no such run")
        self.assert_error(self.folio("verify", self.folder), "is not a run directory")
        self.assert_error(self.folio("verify"), "run", code=2)


class ResumeTest(program.CliTest):
    def resume(self, run, *arguments):
        return self.folio("train", "--resume", "--run", run, *arguments)

    def test_says_what_was_damaged_and_goes_on(self):
        run = self.copy_run()
        damage(run / "checkpoints" / "step_6")
        damage(run / "checkpoints" / "best")
        result = self.resume(run)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for said in ("damaged step_6/model.safetensors: it has", "damaged best/model.safetensors",
                     "resume  step_3, after step 3"):
            self.assertIn(said, result.stdout)
        self.assertEqual(self.tree(run / "checkpoints"), self.tree(self.trained / "checkpoints"))

    def test_refuses_where_nothing_is_whole(self):
        run = self.copy_run()
        for name in ("step_3", "step_6", "best"):
            damage(run / "checkpoints" / name)
        before = self.tree(run)
        self.assert_error(self.resume(run), "no checkpoint is whole", "step_3/model.safetensors: ",
                          "step_6/model.safetensors: ", "best/model.safetensors: ")
        self.assertEqual(self.tree(run), before)


class DiskTest(program.CliTest):
    """Runs on a small file system in memory, if one can be mounted."""

    SIZE = "size=300k"

    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", self.SIZE, "tmpfs", self.disk],
                                 capture_output=True, check=False, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"no file system can be mounted: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.run_folder = self.disk / "run"

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.disk], check=True)

    def assert_finishes_with_the_same_bits(self):
        result = self.folio("train", "--resume", "--run", self.run_folder)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for name in ("model.safetensors", "optimizer.safetensors"):
            path = pathlib.Path("checkpoints", "step_6", name)
            self.assertEqual((self.run_folder / path).read_bytes(),
                             (self.trained / path).read_bytes())

    def test_full(self):
        result = self.folio("train", self.config, "--run", self.run_folder, "--set",
                            "train.checkpoint_every=1", "train.keep_last=0")
        self.assert_error(result, self.run_folder, "No space left on device; free some space")
        self.assertEqual(self.folio("verify", self.run_folder).returncode, 0)
        self.remount("size=10m")
        self.assert_finishes_with_the_same_bits()

    def test_read_only(self):
        self.folio("train", self.config, "--run", self.run_folder, "--stop-at", "4")
        before = self.tree(self.disk)
        self.remount("ro")
        result = self.folio("train", "--resume", "--run", self.run_folder)
        self.assert_error(result, self.run_folder, "Read-only file system")
        self.assert_error(self.folio("train", self.config, "--run", self.disk / "new"),
                          self.disk / "new", "Read-only file system")
        self.assertEqual(self.tree(self.disk), before)
        self.remount("rw,size=10m")
        self.assert_finishes_with_the_same_bits()


class SignalTest(program.CliTest):
    def start(self, *overrides):
        """Starts an endless run that saves only when it is stopped."""
        self.run_folder = self.folder / "run"
        self.said = self.folder / "said.txt"

        def take_signals():  # even if this program's parent ignores the signal
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

        with self.said.open("w") as said:
            process = subprocess.Popen(
                [program.FOLIO, "train", self.config, "--run", self.run_folder, "--set",
                 "train.steps=100000000", "train.checkpoint_every=0", "train.eval_every=0",
                 *overrides], stdout=said, stderr=subprocess.PIPE, text=True, preexec_fn=take_signals)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, path, text):
        deadline = time.monotonic() + DEADLINE
        while not (path.exists() and text in path.read_text(errors="replace")):
            self.assertLess(time.monotonic(), deadline, f"{path} never held {text!r}")
            time.sleep(0.01)

    def wait_until_taken(self, process, number):
        """Waits until the process no longer catches the signal: its handler works only once."""
        status = pathlib.Path(f"/proc/{process.pid}/status")
        deadline = time.monotonic() + DEADLINE
        while int(re.search(r"^SigCgt:\s*(\w+)", status.read_text(), re.MULTILINE)[1], 16) & (
                1 << (number - 1)):
            self.assertLess(time.monotonic(), deadline, "the signal was never handled")
            time.sleep(0.01)

    def test_first_signal_finishes_the_step_and_saves(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.start()
            self.wait_for(self.run_folder / "metrics.jsonl", '"step":3,')
            process.send_signal(number)
            _, complaints = process.communicate(timeout=DEADLINE)
            self.assertEqual((process.returncode, complaints), (0, ""))
            said = self.said.read_text()
            self.assertIn("stopping: the step is finished and saved first", said)
            stopped = re.search(r"^stopped after step ([\d,]+) of 100,000,000; continue with: "
                                r"folio (.*)\n\Z", said, re.MULTILINE)
            step = int(stopped[1].replace(",", ""))
            self.assertGreaterEqual(step, 3)

            # The checkpoint equals that of a run with --stop-at, and the printed command continues it.
            other = self.folder / "other"
            self.folio("train", self.config, "--run", other, "--stop-at", step, "--set",
                       "train.steps=100000000", "train.checkpoint_every=0", "train.eval_every=0")
            saved = pathlib.Path("checkpoints", f"step_{step}")
            self.assertEqual(self.tree(self.run_folder / saved), self.tree(other / saved))
            result = self.folio(*shlex.split(stopped[2]), "--stop-at", step + 2)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn(f"resume  step_{step}, after step {step:,}", result.stdout)
            shutil.rmtree(self.run_folder)
            shutil.rmtree(other)

    def test_second_interrupt_does_not_wait(self):
        # The sample after step 2 would take a very long time.
        process = self.start("train.sample_at=[2]", "train.sample_tokens=1000000")
        self.wait_for(self.said, "--- sample after step 2 ---")
        process.send_signal(signal.SIGTERM)
        self.wait_for(self.said, "stopping: ")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        self.wait_until_taken(process, signal.SIGINT)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertEqual(list((self.run_folder / "checkpoints").iterdir()), [])


if __name__ == "__main__":
    program.main()
