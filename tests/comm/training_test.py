"""Tests folio train and eval on several processes.

usage: training_test.py FOLIO MPI_RANKS MPIRUN [cuda]     cuda: each rank on a GPU, or on a test double
"""

import array
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

FOLIO, MPI_RANKS, MPIRUN = sys.argv[1:4]
GPU = "cuda" in sys.argv[4:]
DEADLINE = 60  # seconds after which a program counts as stuck

CONFIG = """
data: {text: %s}
model: {layers: %d, heads: 2, width: 64, context: %d, dropout: 0.1}
train: {steps: 20, batch: %d, accumulate: 4, reduce: ordered, seed: 3, precision: f32, threads: 1,
        device: %s,
        label_smoothing: 0.1, eval_every: 10, eval_batches: %d, checkpoint_every: 5, sample_at: [0],
        sample_tokens: 5, bucket_mb: 0.07, rank_timeout: %d}
optimizer: {lr: 1.0e-2}
schedule: {warmup: 4, final_lr: 1.0e-3}
"""


# The test doubles of a GPU are slow.
WORDS, LAYERS, CONTEXT, BATCH, EVAL_BATCHES = (300, 1, 4, 8, 2) if GPU else (3000, 2, 16, 12, 5)
PATIENCE = 4 if GPU else 3  # seconds; on a busy machine a rank may be slow

of_the_host = unittest.skipIf(GPU, "nothing in it is the device's")
of_the_gpu = unittest.skipUnless(GPU, "of GPUs")


def weights(run):
    """All weights of a run's last checkpoint."""
    data = (run / "checkpoints/step_20/model.safetensors").read_bytes()
    return array.array("f", data[8 + int.from_bytes(data[:8], "little"):])


def relative_distance(a, b):
    difference = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return (difference / sum(y * y for y in b)) ** 0.5


def alive(pid):
    """Whether a process is running, and is not a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class RanksTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="folio-ranks-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        words = "my lord the king is dead speak no more of this sweet night".split()
        text = " ".join(words[i * i % 11 + i % 3] for i in range(WORDS))
        (cls.folder / "text.txt").write_text(text)
        cls.config = cls.folder / "tiny.yaml"
        cls.config.write_text(cls.config_text(40))
        cls.impatient = cls.folder / "impatient.yaml"
        cls.impatient.write_text(cls.config_text(PATIENCE))
        cls.one = cls.folder / "one"
        cls.train(1, "--run", cls.one)

    @classmethod
    def config_text(cls, patience):
        return CONFIG % (cls.folder / "text.txt", LAYERS, CONTEXT, BATCH, "cuda" if GPU else "cpu",
                         EVAL_BATCHES, patience)

    @classmethod
    def command(cls, ranks, *arguments):
        launcher = [MPIRUN, "-np", str(ranks)] if ranks > 1 else []
        return [*launcher, FOLIO, *map(str, arguments)]

    @classmethod
    def folio(cls, ranks, *arguments, **environment):
        return subprocess.run(cls.command(ranks, *arguments), capture_output=True, text=True,
                              timeout=DEADLINE, cwd=cls.folder, env={**os.environ, **environment})

    @classmethod
    def train(cls, ranks, *arguments, **environment):
        result = cls.folio(ranks, "train", cls.config, *arguments, **environment)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    @staticmethod
    def metrics(run):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k != "tokens_per_second"} for line in lines]

    def assert_like_one(self, run):
        """Checks that weights, moments and metrics have the bits of one process."""
        for name in ("model", "optimizer"):
            file = f"checkpoints/step_20/{name}.safetensors"
            self.assertEqual((run / file).read_bytes(), (self.one / file).read_bytes(), file)
        self.assertEqual(self.metrics(run), self.metrics(self.one))

    def assert_resumes(self, run, ranks=2):
        result = self.folio(ranks, "train", "--resume", "--run", run)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assert_like_one(run)


class SameAsOne(RanksTest):
    def test_any_number_of_ranks(self):
        for ranks in (2, 3, 4):
            run = self.folder / f"ranks{ranks}"
            # With the doubles, one run executes streams as early as possible.
            output = self.train(ranks, "--run", run, **({"CUDA_HOST_EAGER": "1"} if ranks == 3 else {}))
            self.assert_like_one(run)
            self.assertRegex(output, rf"ranks   {ranks} on 1 machine, 1 thread each, by "
                                     + (r"NCCL [\d.]+ and " if GPU else "") + "Open MPI")
            self.assertEqual(output.count("--- sample after step 0 ---"), 1)
            self.assertNotIn("\x1b", output)
            self.assertIn(f'"ranks": {ranks}', (run / "machine.json").read_text())

    def test_shards(self):
        run = self.folder / "shards"
        self.train(3, "--run", run, "--set", "optimizer.shard=true", "train.bucket_mb=25")
        self.assert_like_one(run)

    def test_without_overlap(self):
        run = self.folder / "after"
        self.train(2, "--run", run, "--set", "train.overlap=false", "train.bucket_mb=1")
        self.assert_like_one(run)

    def test_other_weights_and_byte_pairs(self):
        prepared = self.folder / "prepared"
        made = self.folio(1, "prepare", self.folder / "text.txt", "--vocab-size", "270", "--out", prepared)
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        settings = ["--set", f"data.text={prepared}", "data.tokenizer=bpe", "data.validation_fraction=0.2"]
        first = self.folder / "byte_pairs"
        self.train(1, "--run", first, *settings)
        runs = [self.folder / f"from_other_weights_{ranks}" for ranks in (1, 3)]
        for ranks, run in zip((1, 3), runs):
            said = self.train(ranks, "--run", run, *settings, f"train.init_from={first}", "train.seed=5")
            self.assertEqual(said.count("init    the weights of "), 1, said)
        one, three = ((run / "checkpoints/step_20/model.safetensors").read_bytes() for run in runs)
        self.assertEqual(three, one)
        self.assertEqual(self.metrics(runs[1]), self.metrics(runs[0]))
        losses = [line["train_loss"] for line in self.metrics(runs[0]) if "train_loss" in line]
        random = [line["train_loss"] for line in self.metrics(first) if "train_loss" in line]
        self.assertLess(losses[0], random[0] - 0.5)

    def test_save_on_4_resume_on_2_and_1(self):
        for shard in ("true",) if GPU else ("false", "true"):
            run = self.folder / f"resumed-{shard}"
            self.train(4, "--run", run, "--stop-at", "10", "--set", f"optimizer.shard={shard}",
                       "train.bucket_mb=25")
            other = self.folder / f"resumed-{shard}-on-one"
            shutil.copytree(run, other)
            self.assert_resumes(run, ranks=2)
            self.assert_resumes(other, ranks=1)

    @of_the_gpu  # tests/train/ranks_test.cpp tests this with threads on CPUs
    def test_fast_stays_within_rounding_whatever_the_buckets(self):
        sgd = ("--set", "train.reduce=fast", "optimizer.name=sgd", "optimizer.lr=0.1")
        runs = {}
        for name, ranks, options in (("one", 1, []), ("small", 3, ["train.bucket_mb=0.011"]),
                                     ("after", 3, ["train.overlap=false", "train.bucket_mb=25"])):
            runs[name] = self.folder / f"fast-{name}"
            self.train(ranks, "--run", runs[name], *sgd, *options)
        self.assertEqual(weights(runs["small"]), weights(runs["after"]))
        self.assertLessEqual(relative_distance(weights(runs["small"]), weights(runs["one"])), 1e-6)

    @of_the_gpu
    def test_in_bf16(self):
        runs = []
        for ranks, shard in ((1, "false"), (2, "true")):
            runs.append(self.folder / f"bf16-{ranks}")
            self.train(ranks, "--run", runs[-1], "--set", "train.precision=bf16",
                       f"optimizer.shard={shard}", "train.bucket_mb=25")
        self.assertEqual(weights(runs[0]), weights(runs[1]))

    @of_the_gpu
    def test_a_gpu_for_each_rank(self):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1"}
        result = subprocess.run(
            self.command(3, "train", self.config, "--run", self.folder / "shared"),
            capture_output=True, text=True, timeout=DEADLINE, env=environment)
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, r"ranks 0 and 2 would share the GPU [0-9A-Fa-f:.]+ of \S+,")
        self.assertIn("or train on the CPU", result.stderr)
        self.assertFalse((self.folder / "shared").exists())
        # As with srun --gpus-per-task=1, each rank sees only its own GPU.
        own = 'CUDA_VISIBLE_DEVICES=$OMPI_COMM_WORLD_RANK exec "$0" "$@"'
        result = subprocess.run(
            [MPIRUN, "-np", "2", "sh", "-c", own,
             *self.command(1, "train", self.config, "--run", self.folder / "own", "--stop-at", "1")],
            capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    @of_the_host
    def test_nothing_left_to_do(self):
        result = self.folio(2, "train", "--resume", "--run", self.one)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout.count("nothing is left to do"), 1)

    def test_eval(self):
        alone = self.folio(1, "eval", self.one)
        shared = self.folio(3, "eval", self.one)
        self.assertEqual((shared.returncode, shared.stdout), (0, alone.stdout))

    @of_the_host
    def test_samples(self):
        for count in ("1", "5"):
            arguments = ("sample", self.one, "--num-samples", count, "--max-tokens", "9")
            shared = self.folio(3, *arguments)
            self.assertEqual((shared.returncode, shared.stdout), (0, self.folio(1, *arguments).stdout))

    @of_the_host
    def test_other_verbs_are_of_one_process(self):
        result = self.folio(3, "plan", self.config)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout, self.folio(1, "plan", self.config).stdout)


class Trouble(RanksTest):
    def break_rank(self, rank, kind):
        """Makes rank `rank` of 3 fail in the backward pass of step 13; returns the run and its output."""
        run = self.folder / f"{kind}{rank}"
        config = self.impatient if kind == "hangs" else self.config
        result = subprocess.run(
            [MPIRUN, "-np", "3", MPI_RANKS, "train", str(config), str(run), str(rank), kind, "13"],
            capture_output=True, text=True, timeout=DEADLINE)
        self.assertNotEqual(result.returncode, 0)
        self.assertTrue((run / "checkpoints" / "step_10").is_dir())
        verified = self.folio(1, "verify", run)
        self.assertEqual(verified.returncode, 0, verified.stdout)
        return run, result.stderr

    def test_a_rank_throws(self):
        run, said = self.break_rank(1, "throws")
        self.assertIn("folio: error: rank 1 of 3: test: this rank throws", said)
        self.assert_resumes(run)

    def test_a_rank_dies(self):
        run, said = self.break_rank(2, "dies")
        self.assertRegex(said, r"process rank 2 with PID \d+ on node \S+ exited on\s+signal 9")
        self.assert_resumes(run)

    def test_a_rank_hangs(self):
        run, said = self.break_rank(0, "hangs")
        self.assertRegex(said, r"folio: error: rank 0 of 3 \(\S+, process \d+\): silent, while the "
                               r"other ranks wait for it in reduce_scatter in step 13 for \d+ s")
        self.assertEqual(said.count("folio: error: "), 1, said)
        self.assert_resumes(run)

    @contextlib.contextmanager
    def endless(self, config, run, *launcher):
        """Starts an endless training on 3 ranks, waits until it has saved once, and returns it with its process ids."""
        process = subprocess.Popen(
            [MPIRUN, *launcher, "-np", "3", FOLIO, "train", str(config), "--run", str(run), "--set",
             "train.steps=1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        pids = []
        try:
            self.wait_for(run / "checkpoints" / "step_5")
            ranks = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
            pids = [int(pid) for pid in ranks.read_text().split()]
            self.assertEqual(len(pids), 3)
            yield process, pids
        finally:
            for pid in [process.pid, *filter(alive, pids)] if process.poll() is None else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.communicate()

    @of_the_host
    def test_signals_to_mpirun_stop_and_save(self):
        version = subprocess.run([MPIRUN, "--version"], capture_output=True, text=True, check=True)
        # From version 5 on, Open MPI kills the ranks at once when it receives SIGTERM.
        kills_at_once = re.search(r"Open MPI\) ([5-9]|\d\d)\.", version.stdout)
        for name in ("SIGUSR1",) if kills_at_once else ("SIGTERM", "SIGUSR1"):
            run = self.folder / name
            patience = ("--mca", "odls_base_sigkill_timeout", "5")
            with self.endless(self.config, run, *patience) as (process, _):
                process.send_signal(getattr(signal, name))
                output, _ = process.communicate(timeout=DEADLINE)
            stopped = re.search(r"stopped after step ([\d,]+) of", output)
            self.assertTrue(stopped, output)
            step = stopped[1].replace(",", "")
            self.assertIn(f"step_{step}", os.listdir(run / "checkpoints"))

    @of_the_host
    def test_sigterm_to_a_rank_stops_all(self):
        with self.endless(self.config, self.folder / "one-terminated") as (process, pids):
            os.kill(pids[2], signal.SIGTERM)
            output, errors = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertRegex(output, r"stopped after step [\d,]+ of")

    def test_a_stopped_process(self):
        with self.endless(self.impatient, self.folder / "stopped") as (process, pids):
            os.kill(pids[1], signal.SIGSTOP)
            _, errors = process.communicate(timeout=DEADLINE)
        self.assertNotEqual(process.returncode, 0)
        self.assertRegex(errors, rf"rank \d of 3 \(\S+, process {pids[1]}\): silent")
        # mpirun has killed them, and may end before they do.
        deadline = time.monotonic() + DEADLINE
        while any(alive(pid) for pid in pids):
            self.assertLess(time.monotonic(), deadline, "ranks outlive mpirun")
            time.sleep(0.05)

    @of_the_host
    def test_errors_of_rank_0_end_all(self):
        result = self.folio(3, "train", self.config, "--run", self.one)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("folio: error: rank 0 of 3: ", result.stderr)
        self.assertIn("choose another --run", result.stderr)
        result = self.folio(5, "train", self.config, "--run", self.folder / "five")
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, "5 ranks are too many for 4 micro-batches")
        self.assertFalse((self.folder / "five").exists())

    def test_a_step_that_is_not_finite_is_kept_whole(self):
        run = self.folder / "not-finite"
        result = self.folio(3, "train", self.config, "--run", run, "--set", "optimizer.name=sgd",
                            "optimizer.lr=1e6", "optimizer.clip=0", "optimizer.shard=true")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stderr.count("folio: error: "), 1, result.stderr)
        self.assertIn("the first bad values are made by", result.stderr)
        replayed = self.folio(1, "replay", run)
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        self.assertIn("the same as recorded", replayed.stdout)

    @of_the_host
    def test_too_few_samples(self):
        result = self.folio(3, "train", self.config, "--run", self.folder / "few", "--set",
                            "train.batch=2", "train.accumulate=1", "train.reduce=fast")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("2 samples are too few for 3 ranks", result.stderr)

    def wait_for(self, path):
        deadline = time.monotonic() + DEADLINE
        while not path.exists():
            self.assertLess(time.monotonic(), deadline, f"{path} does not appear")
            time.sleep(0.02)


def gpus():
    return int(subprocess.run([MPI_RANKS, "gpus"], capture_output=True, text=True,
                              check=True).stdout)


if __name__ == "__main__":
    if GPU and gpus() < 4:
        print(f"there are {gpus()} GPUs; these tests need 4")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *[a for a in sys.argv[4:] if a != "cuda"]])
