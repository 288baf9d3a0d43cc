"""Tests the folio program: exit codes, messages, and that errors leave files unchanged. train_test.py
tests `folio train`.

usage: cli_test.py FOLIO
"""

import json
import math
import os
import re
import subprocess

import program
from program import TEXT, CliTest

VERBS = ("train", "sample", "eval", "gradcheck", "plan", "profile", "report", "compare", "explain",
         "replay", "verify", "prepare")


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


class UseTest(CliTest):
    def test_eval_prints_one_line(self):
        for split, tokens in (("val", len(TEXT) - int(len(TEXT) * 0.9) - 1),
                              ("train", int(len(TEXT) * 0.9) - 1)):
            result = self.folio("eval", self.trained, "--split", split)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual(result.stdout.count("\n"), 1)
            line = json.loads(result.stdout)
            self.assertEqual(list(line), ["split", "loss", "perplexity", "tokens", "bits_per_byte"])
            self.assertEqual((line["split"], line["tokens"]), (split, tokens))
            self.assertGreater(line["perplexity"], line["loss"])
            self.assertTrue(TEXT.isascii())  # every token is one character and one byte
            self.assertAlmostEqual(line["bits_per_byte"], line["loss"] / math.log(2))

    def test_prepare_and_train_on_it(self):
        text, out = self.write("one.txt", TEXT), self.folder / "prepared"
        made = self.folio("prepare", text, text, "--vocab-size", "300", "--out", out)
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        self.assertIn(f"{out}: ", made.stdout)
        self.assertIn("300 different (bpe)", made.stdout)
        following = made.stdout.splitlines()[-1]
        self.assertTrue(following.startswith("next folio train CONFIG --set "), following)
        settings = following.split("--set ")[1].split()
        self.assertEqual(settings, [f"data.text={out}", "data.tokenizer=bpe"])
        verified = self.folio("verify", out)
        self.assertEqual(verified.returncode, 0)
        self.assertIn("whole", verified.stdout)
        run = self.folder / "of_prepared"
        trained = self.folio("train", self.config, "--set", *settings, "--run", run)
        self.assertEqual((trained.returncode, trained.stderr), (0, ""))
        sampled = self.folio("sample", run, "--prompt", "\u00e9", "--max-tokens", "50")
        self.assertEqual((sampled.returncode, sampled.stderr), (0, ""))
        self.assertTrue(sampled.stdout.startswith("\u00e9"))
        self.assert_error(self.folio("prepare", text, "--out", out), out, "choose another --out")
        self.assert_error(self.folio("prepare", text, "--out", self.folder / "x",
                                     "--vocab-size", "256"), "--vocab-size", "257 to", code=2)
        tokens = out / "tokens.bin"
        tokens.write_bytes(tokens.read_bytes()[:-2])
        self.assert_error(self.folio("verify", out), tokens, "is it truncated?")

    def test_eval_of_a_changed_text(self):
        run = self.copy_run()
        identity = json.loads((run / "text.json").read_text())
        other = self.write("other.txt", TEXT + "More.\n")
        (run / "text.json").write_text(json.dumps(identity | {"path": str(other)}))
        self.assert_error(self.folio("eval", run), other, "is no longer the text of this run")

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

    def test_config_prints_every_key(self):
        printed = self.folio("config", "--set", "model.width=96", "model.heads=3")
        self.assertEqual((printed.returncode, printed.stderr), (0, ""))
        self.assertRegex(printed.stdout, r"(?m)^  width: 96 +# C, channels$")
        (self.folder / "printed.yaml").write_text(printed.stdout)
        self.assertEqual(self.folio("config", self.folder / "printed.yaml").stdout, printed.stdout)
        self.assert_error(self.folio("config", "--set", "model.widht=96"), "is model.width meant?")

    def test_what_the_parser_does_not_know(self):
        self.assert_error(self.folio("plan", "x.yaml", "--sett", "a=b"),
                          "--sett: unknown option; is --set meant?; see folio plan --help", code=2)
        self.assert_error(self.folio("sample", "x", "--topk=3"), "--topk: unknown option; is --top-k",
                          code=2)
        self.assert_error(self.folio("eval", "x", "y"), "y", "see folio eval --help", code=2)
        self.assert_error(self.folio("plan"), "CONFIG: no config is given; name one, for example")
        self.assert_error(self.folio("profile", "x.yaml", "--steps", "0"), "--steps", "1 to 1000000",
                          code=2)

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

    def test_a_reader_that_leaves_ends_it_without_a_word(self):
        """As with `head`: the exit code is that of a program which SIGPIPE ends."""
        for arguments in (("eval", self.trained), ("sample", self.trained, "--max-tokens", 20000),
                          ("plan", self.config), ("config",), ("--help",)):
            reader, writer = os.pipe()
            os.close(reader)
            result = subprocess.run([program.FOLIO, *map(str, arguments)], stdout=writer, timeout=120,
                                    stderr=subprocess.PIPE, check=False, text=True)
            os.close(writer)
            self.assertEqual((result.returncode, result.stderr), (141, ""))

    def test_a_checkpoint_is_not_a_run(self):
        self.assert_error(self.folio("sample", self.trained / "checkpoints" / "best"),
                          "this is a checkpoint; name its run")

    def test_lost_output_is_no_success(self):
        for arguments in (("eval", self.trained), ("sample", self.trained), ("plan", self.config),
                          ("--help",)):
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = subprocess.run([program.FOLIO, *map(str, arguments)], stdout=full, timeout=120,
                                        stderr=subprocess.PIPE, check=False, text=True)
            self.assert_error(result, "standard output")


if __name__ == "__main__":
    program.main()
