"""Repeatedly kills `folio train` at random times and resumes it.

Every step saves a checkpoint, and the best one too, so that most kills happen during a save. After each
kill all checkpoints with their final name must be whole. A run that reaches its end must have the same
bits as a run that was never killed. The times are drawn from a seed; where in the program they fall
depends on the machine.

usage: torture_test.py FOLIO [--kills N] [--seed S]
"""

import argparse
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

STEPS = 25
TIMEOUT = 200  # time limit in seconds for a program that is not killed
CONFIG = f"""\
data: {{text: TEXT}}
model: {{layers: 1, heads: 2, width: 16, context: 16, dropout: 0.1}}
train: {{steps: {STEPS}, batch: 4, eval_every: 1, eval_batches: 1, checkpoint_every: 1, keep_last: 2,
        sample_at: []}}
schedule: {{warmup: 2}}
"""


class Torture:
    def __init__(self, folio, folder, seed):
        self.folio = folio
        self.folder = folder
        self.random = random.Random(seed)
        self.kills = self.kills_in_saves = self.finished_runs = 0
        text = "".join(f"HAMLET:\nSpeak, my lord, of night {i}.\n\n" for i in range(60))
        (folder / "text.txt").write_text(text)
        self.config = folder / "tiny.yaml"
        self.config.write_text(CONFIG.replace("TEXT", str(folder / "text.txt")))
        began = time.monotonic()
        with self.start(folder / "whole") as process:
            self.wait_for_first_step(process)
            self.start_seconds = time.monotonic() - began
            self.finish(process)
        self.step_seconds = (time.monotonic() - began - self.start_seconds) / (STEPS - 1)

    def call(self, *arguments):
        result = subprocess.run([self.folio, *map(str, arguments)], capture_output=True,
                                timeout=TIMEOUT, check=False, text=True)
        if result.returncode != 0:
            sys.exit(f"after {self.kills} kills, folio {' '.join(map(str, arguments))}:\n"
                     f"{result.stdout}{result.stderr}")
        return result.stdout

    def start(self, run):
        """The command that a user would run now."""
        how = ["--resume", "--run", run]
        if not (run / "config.yaml").exists():  # killed before the run existed, so nothing is lost
            shutil.rmtree(run, ignore_errors=True)
            how = [self.config, "--run", run]
        return subprocess.Popen([self.folio, "train", *map(str, how)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def kill_once(self, run):
        """Starts or resumes the run and kills it, sometimes before the first step is done, mostly soon after.
        Returns False if the run reached its end first."""
        with self.start(run) as process:
            if self.random.random() < 0.25:
                time.sleep(self.random.uniform(0, self.start_seconds))
            else:
                self.wait_for_first_step(process)
                time.sleep(self.random.uniform(0, 2 * self.step_seconds))
            process.kill()
            output = process.stdout.read()
        if process.returncode == -signal.SIGKILL:
            self.kills += 1
            self.check_after_kill(run, process.pid)
            return True
        if process.returncode != 0:
            sys.exit(f"after {self.kills} kills, the resumed run failed:\n{output}")
        return False

    @staticmethod
    def wait_for_first_step(process):
        for line in process.stdout:
            if line.startswith("step "):  # printed before the save
                break

    def finish(self, process):
        output, _ = process.communicate(timeout=TIMEOUT)
        if process.returncode != 0:
            sys.exit(f"after {self.kills} kills, a run that was not killed failed:\n{output}")

    def check_after_kill(self, run, process):
        checkpoints = run / "checkpoints"
        names = [path.name for path in checkpoints.iterdir()] if checkpoints.exists() else []
        self.kills_in_saves += any(name.endswith(f".tmp-{process}") for name in names)
        if any(".tmp-" not in name for name in names):
            self.call("verify", run)

    def check_end(self, run):
        self.finished_runs += 1
        for checkpoint in (f"step_{STEPS}", f"step_{STEPS - 1}", "best"):
            for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
                path = pathlib.Path("checkpoints", checkpoint, name)
                if (run / path).read_bytes() != (self.folder / "whole" / path).read_bytes():
                    sys.exit(f"after {self.kills} kills, {path} differs from that of a run without kills")
        if self.metrics(run) != self.metrics(self.folder / "whole"):
            sys.exit(f"after {self.kills} kills, metrics.jsonl differs from that of a run without kills")
        names = {path.name for path in (run / "checkpoints").iterdir() if ".tmp-" not in path.name}
        # A kill after the last save may have left a checkpoint that was due for removal.
        if names - {f"step_{STEPS - 2}"} != {f"step_{STEPS}", f"step_{STEPS - 1}", "best"}:
            sys.exit(f"after {self.kills} kills, there are unexpected checkpoints: {names}")

    @staticmethod
    def metrics(run):
        """The lines without the values that depend on the clock."""
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        return [line | {"tokens_per_second": None} for line in lines]

    def go(self, kills):
        while self.kills < kills:
            run = self.folder / f"run{self.finished_runs}"
            while self.kills < kills and self.kill_once(run):
                pass
            with self.start(run) as process:
                self.finish(process)
            self.check_end(run)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folio")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="folio-torture-") as name:
        torture = Torture(arguments.folio, pathlib.Path(name), arguments.seed)
        torture.go(arguments.kills)
    print(f"{torture.kills} kills, {torture.kills_in_saves} of them while saving; every newest "
          f"checkpoint was whole, and {torture.finished_runs} runs ended with the same bits")


if __name__ == "__main__":
    main()
