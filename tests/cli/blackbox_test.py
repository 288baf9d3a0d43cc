"""Tests a diverging run with the real program: exit code, report, bundle, and `folio replay`.

usage: blackbox_test.py FOLIO      (or with the program's path in the environment variable FOLIO)
"""

import json
import os
import shutil

import program


class BlackBoxTest(program.CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.diverged = cls.config.parent / "diverged"

    def diverge(self, **options):
        return self.folio("train", self.config, "--run", self.diverged, "--set",
                          "optimizer.lr=1e4", "optimizer.clip=0", "schedule.warmup=0",
                          "schedule.name=constant", "train.steps=100", "train.sample_at=[]",
                          **options)

    def setUp(self):
        super().setUp()
        shutil.rmtree(self.diverged, ignore_errors=True)

    @staticmethod
    def threads(count):
        return {**os.environ, "OMP_NUM_THREADS": str(count)}

    def test_a_diverging_run(self):
        for threads in (1, 2):
            shutil.rmtree(self.diverged, ignore_errors=True)
            result = self.diverge(env=self.threads(threads))
            bundle, = (self.diverged / "blackbox").iterdir()
            report = json.loads((bundle / "report.json").read_text())
            self.assertGreater(report["step"], 1)
            self.assert_error(result, f"at step {report['step']} the loss is ", report["where"],
                              "optimizer.lr", f"folio replay {bundle}")
            self.assertIn(report["op"], report["where"])
            self.assertIn(report["layer"], report["where"])
            self.assertFalse(all(made["nan"] + made["infinite"] == 0 for made in report["made"]))
            text = (bundle / "report.txt").read_text()
            self.assertTrue(result.stdout.endswith(text))

            # Replay needs only the bundle, and works with any number of threads.
            alone = self.folder / f"alone-{threads}"
            shutil.copytree(bundle, alone)
            shutil.rmtree(self.diverged)
            for others in (1, 2, 3):
                again = self.folio("replay", alone, env=self.threads(others))
                self.assertEqual((again.returncode, again.stderr), (0, ""))
                self.assertEqual(again.stdout, f"replaying {alone}\n{text}"
                                 f"the same as recorded: {report['where']}\n")

    def test_replay_of_a_run_and_of_damage(self):
        self.diverge()
        result = self.folio("replay", self.diverged)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        bundle, = (self.diverged / "blackbox").iterdir()
        weights = bundle / "checkpoint" / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        self.assert_error(self.folio("replay", self.diverged), weights, "damaged")
        (bundle / "batch.safetensors").unlink()
        self.assert_error(self.folio("replay", bundle), bundle / "batch.safetensors")
        self.assert_error(self.folio("replay", self.trained), "there is no bundle here")
        self.assert_error(self.folio("replay", "nowhere"), "nowhere")

    def test_skipping_is_bounded(self):
        result = self.folio("train", self.config, "--run", self.diverged, "--set",
                            "optimizer.lr=1e4", "optimizer.clip=0", "schedule.warmup=0",
                            "train.steps=100", "train.sample_at=[]", "train.on_non_finite=skip",
                            "train.max_skips=3", "train.eval_every=0")
        self.assert_error(result, "the loss is ", "folio replay")
        self.assertIn("(3 of at most 3 skips)", result.stdout)
        lines = [json.loads(line)
                 for line in (self.diverged / "metrics.jsonl").read_text().splitlines()]
        skipped = [line for line in lines if "skipped" in line]
        self.assertEqual([line["train_loss"] for line in skipped], [None] * 3)


if __name__ == "__main__":
    program.main()
