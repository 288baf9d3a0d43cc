"""The folio program as its users meet it: exit codes, messages, and what stays unharmed.

usage: cli_test.py FOLIO      (or with the program's path in the environment variable FOLIO)
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

FOLIO = os.environ.get("FOLIO", "")
VERBS = ("train", "sample", "eval", "gradcheck", "plan", "profile", "report", "compare", "explain",
         "replay", "verify")

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
        """One line on stderr that holds all parts."""
        self.assertEqual(result.returncode, code, result.stderr)
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("folio: error: "), lines[0])
        for part in parts:
            self.assertIn(str(part), lines[0])

    def assert_refused(self, *arguments, parts):
        """A new run that is refused leaves nothing behind."""
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


class HelpTest(CliTest):
    def test_help_of_each_verb(self):
        for verb in VERBS:
            result = self.folio(verb, "--help")
            self.assertEqual((result.returncode, result.stderr), (0, ""), verb)
            self.assertIn(f"Usage: folio {verb}", result.stdout)
            self.assertIn("Example", result.stdout)

    def test_help_and_version(self):
        result = self.folio("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for verb in VERBS:
            self.assertIn(verb, result.stdout)
        self.assertRegex(self.folio("--version").stdout, r"^folio \d+\.\d+\.\d+\n$")

    def test_unknown_verb(self):
        self.assert_error(self.folio("tran", "x"), "tran", "is train meant?", code=2)
        self.assert_error(self.folio("frobnicate"), "the verbs are: train, sample", code=2)

    def test_bad_usage(self):
        self.assert_error(self.folio(), "--help", code=2)
        self.assert_error(self.folio("sample"), "run", "folio sample --help", code=2)
        self.assert_error(self.folio("eval", self.trained, "--split", "test"), "test", code=2)
        self.assert_error(self.folio("sample", self.trained, "--top-k", "many"), "many", code=2)
        self.assert_error(self.folio("train", self.config, "--nonsense"), "--nonsense", code=2)
        for seed in ("-1", "1" * 23, "1.5", "", "0x1"):
            self.assert_error(self.folio("sample", self.trained, "--seed", seed), "seed", code=2)
        self.assertEqual(self.folio("sample", self.trained, "--seed", str(2**64 - 1)).returncode, 0)
        for step in ("0", "-3"):
            self.assert_error(self.folio("train", self.config, "--stop-at", step),
                              f"--stop-at: {step} is no step to stop after; it must be at least 1")
        self.assert_error(self.folio("gradcheck", self.config, "--elements", "-1"),
                          "--elements: is -1; it must be at least 0")
        self.assert_error(self.folio("train"), "no config is given")
        self.assert_error(self.folio("train", "--resume"), "--resume needs --run")


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
        self.assert_refused(*self.with_text("To be."), parts=["text.txt", "model.context"])

    def test_invalid_utf8(self):
        self.assert_refused(*self.with_text(b"To be\xff or not"), parts=["text.txt", "byte 5", "0xff"])

    def test_bf16_on_a_cpu_without_it(self):
        without = {"env": {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}}  # oneDNN then sees no more
        for verb, *rest in (("train", "--run", self.folder / "run"), ("plan",)):
            result = self.folio(verb, self.config, "--set", "train.precision=bf16", *rest, **without)
            self.assert_error(result, "train.precision: this CPU does not multiply bf16",
                              "use precision: auto or f32")
        self.assertFalse((self.folder / "run").exists())
        result = self.folio("train", self.config, "--run", self.folder / "run", **without)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"(?m)^device  cpu, f32, ")
        # What was trained elsewhere can be used: this run is bf16 where the CPU multiplies it.
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
                          "holds no run, but other files, precious among them; choose another --run")
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
        limit = 8000  # bytes a file may have: enough for metrics, too little for the weights

        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        # ThreadSanitizer begins with a file of its own, larger than that, where there is a place.
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

        no_place = dict(os.environ, TMPDIR="/no/where")  # for ThreadSanitizer, as above
        run = self.folder / "new" / "run"
        self.assert_error(self.folio("train", self.config, "--run", run, preexec_fn=no_files, env=no_place), run)
        self.assertEqual(list(self.folder.iterdir()), [])
        # An empty directory that was there stays.
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
            self.assert_error(self.folio(*arguments), "cannot be looked at")

    def test_two_processes_and_one_run(self):
        run = self.folder / "run"
        long_run = ("--set", "train.steps=1000000", "train.eval_every=0", "train.sample_at=[]")
        with subprocess.Popen([FOLIO, "train", self.config, "--run", run, *long_run],
                              stdout=subprocess.PIPE, text=True) as first:
            try:
                while not (line := first.stdout.readline()).startswith("run "):
                    self.assertTrue(line, "it ended without naming its run")
                self.assert_error(self.folio("train", "--resume", "--run", run), run,
                                  "is being trained by another process")
            finally:
                first.kill()
                first.stdout.read()
        # The killed one holds no lock.
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
            result = subprocess.run([FOLIO, "train", self.config, "--run", run], stdout=writer,
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
                result = subprocess.run([FOLIO, *arguments], stderr=full, timeout=120, check=False,
                                        stdout=subprocess.DEVNULL)
            self.assertIn(result.returncode, (1, 2))

    def test_the_bar_fits_the_terminal(self):
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        with subprocess.Popen([FOLIO, "train", self.config, "--run", self.folder / "run",
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


class UseTest(CliTest):
    def test_eval_prints_one_line(self):
        for split, tokens in (("val", len(TEXT) - int(len(TEXT) * 0.9) - 1),
                              ("train", int(len(TEXT) * 0.9) - 1)):
            result = self.folio("eval", self.trained, "--split", split)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual(result.stdout.count("\n"), 1)
            line = json.loads(result.stdout)
            self.assertEqual(list(line), ["split", "loss", "perplexity", "tokens"])
            self.assertEqual((line["split"], line["tokens"]), (split, tokens))
            self.assertGreater(line["perplexity"], line["loss"])

    def test_eval_of_a_changed_text(self):
        run = self.copy_run()
        identity = json.loads((run / "text.json").read_text())
        other = self.write("other.txt", TEXT + "More.\n")
        (run / "text.json").write_text(json.dumps(identity | {"path": str(other)}))
        self.assert_error(self.folio("eval", run), other, "is not the text of this run")

    def test_sample(self):
        first = self.folio("sample", self.trained, "--prompt", "HAM", "--max-tokens", "30")
        self.assertEqual((first.returncode, first.stderr), (0, ""))
        self.assertTrue(first.stdout.startswith("HAM"))
        self.assertEqual(len(first.stdout), 3 + 30 + 1)
        self.assertTrue(first.stdout.endswith("\n"))
        again = self.folio("sample", self.trained, "--prompt", "HAM", "--max-tokens", "30")
        other = self.folio("sample", self.trained, "--prompt", "HAM", "--max-tokens", "30",
                           "--seed", "2")
        self.assertEqual(first.stdout, again.stdout)
        self.assertNotEqual(first.stdout, other.stdout)

    def test_several_samples(self):
        one = self.folio("sample", self.trained, "--prompt", "HAM", "--max-tokens", "30")
        many = self.folio("sample", self.trained, "--prompt", "HAM", "--max-tokens", "30",
                          "--num-samples", "3", "--speed")
        self.assertEqual(many.returncode, 0)
        self.assertRegex(many.stderr, r"^speed   90 tokens in [\d.]+ s: [\d.]+ tokens/s\n$")
        samples = re.split(r"--- sample \d of 3 ---\n", many.stdout)
        self.assertEqual(samples[0], "")
        self.assertEqual(samples[1], one.stdout)
        self.assertEqual(len(set(samples)), 4)
        self.assert_error(self.folio("sample", self.trained, "--num-samples", "0"), "0 samples")

    def test_novelty_quotes_the_training_text(self):
        result = self.folio("sample", self.trained, "--max-tokens", "30", "--novelty")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        line = result.stdout.splitlines()[-1]
        place = re.fullmatch(r'novelty .*: (\d+) of 30 bytes, at byte ([\d,]+): (".*")', line)
        self.assertTrue(place, line)
        span, offset = json.loads(place[3]), int(place[2].replace(",", ""))
        self.assertEqual(len(span), int(place[1]))
        self.assertIn(span, result.stdout[:30])
        self.assertEqual(TEXT[offset:offset + len(span)], span)
        self.assertLessEqual(offset + len(span), 0.9 * len(TEXT))

    def test_greedy_is_temperature_zero(self):
        outputs = {self.folio("sample", self.trained, "--max-tokens", "20", *how).stdout
                   for how in (("--greedy",), ("--temperature", "0"), ("--top-k", "1"),
                               ("--greedy", "--seed", "9"))}
        self.assertEqual(len(outputs), 1)

    def test_unknown_character(self):
        self.assert_error(self.folio("sample", self.trained, "--prompt", "HAM\u00e9"), "--prompt",
                          "\u00e9", "3")

    def test_impossible_options(self):
        self.assert_error(self.folio("sample", self.trained, "--temperature", "-1"), "temperature")
        self.assert_error(self.folio("sample", self.trained, "--top-p", "0"), "top_p")
        result = self.folio("sample", self.trained, "--prompt", "HAM", "--top-k", "-1")
        self.assert_error(result, "--top-k: is -1")
        self.assertEqual(result.stdout, "")

    def test_checkpoints(self):
        for which in ("last", "best", "3"):
            result = self.folio("eval", self.trained, "--checkpoint", which)
            self.assertEqual((result.returncode, result.stderr), (0, ""), which)
        self.assert_error(self.folio("sample", self.trained, "--checkpoint", "4"), "4", "3, 6")
        self.assert_error(self.folio("sample", self.folder), "is not a run directory")

    def test_damaged_checkpoint(self):
        run = self.copy_run()
        weights = run / "checkpoints" / "step_6" / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        for verb in ("sample", "eval"):
            self.assert_error(self.folio(verb, run), weights, "damaged", "--checkpoint N",
                              "folio verify")
            self.assertEqual(self.folio(verb, run, "--checkpoint", "3").returncode, 0)

    def test_gradcheck(self):
        result = self.folio("gradcheck", self.config, "--elements", "3", "--set",
                            "model.dropout=0.2", "--set", "train.label_smoothing=0.1")
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        rows = [line for line in result.stdout.splitlines() if line.endswith("ok")]
        self.assertEqual(len(rows), 9)  # two embeddings, three norms, four matrices
        self.assertIn("9 ok, 0 off", result.stdout.splitlines()[-1])

    def test_plan(self):
        result = self.folio("plan", self.config)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for said in ("blocks.N.attention.qkv.weight", "(48, 16)", "weights", "FLOP", "6 steps"):
            self.assertIn(said, result.stdout)
        for verb in ("plan", "gradcheck"):
            self.assert_error(self.folio(verb, "nowhere.yaml"), "nowhere.yaml")
            self.assert_error(self.folio(verb, self.config, "--set", "data.text=/no.txt"), "/no.txt")

    def test_report(self):
        page = self.folder / "page.html"
        result = self.folio("report", self.trained, self.trained, "--out", page)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, f"{page}\n", ""))
        self.assertIn("after 6 steps", page.read_text(encoding="utf-8"))
        self.assert_error(self.folio("report", self.folder / "no", "--out", page), "no")
        self.assert_error(self.folio("report", self.trained, "--out", self.folder), "directory")
        self.assert_error(self.folio("report", self.trained, "--reference", page), page)

    def test_compare(self):
        other = self.folder / "other"
        self.folio("train", self.config, "--run", other, "--set", "train.seed=4")
        result = self.folio("compare", self.trained, other)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("nothing to compare", result.stdout)
        self.assert_error(self.folio("compare", self.trained, self.trained), "seed")

    def test_explain(self):
        page = self.folder / "page.html"
        result = self.folio("explain", self.trained, "--prompt", "HAM", "--out", page)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, f"{page}\n", ""))
        self.assertIn("Layer 1, head 2", page.read_text(encoding="utf-8"))
        self.assert_error(self.folio("explain", self.trained, "--prompt", "\u00e9"), "\u00e9")

    def test_lost_output_is_no_success(self):
        for arguments in (("eval", self.trained), ("sample", self.trained), ("plan", self.config),
                          ("--help",)):
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = subprocess.run([FOLIO, *map(str, arguments)], stdout=full, timeout=120,
                                        stderr=subprocess.PIPE, check=False, text=True)
            self.assert_error(result, "standard output")
            reader, writer = os.pipe()
            os.close(reader)
            result = subprocess.run([FOLIO, *map(str, arguments)], stdout=writer, timeout=120,
                                    stderr=subprocess.PIPE, check=False, text=True)
            os.close(writer)
            self.assert_error(result, "standard output")


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        FOLIO = sys.argv.pop(1)
    if not FOLIO:
        sys.exit("usage: cli_test.py FOLIO")
    FOLIO = os.path.abspath(FOLIO)
    unittest.main()
