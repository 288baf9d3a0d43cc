#!/usr/bin/env python3
"""Checks that TensorBoard's own reader reads the files that `train.tensorboard: true` writes.

usage: tests/report/tensorboard_check.py FOLIO
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import environment
import tiny

environment.use("tensorboard-check",
                ["tensorboard", "protobuf", "numpy", "absl-py", "packaging", "setuptools<80"],
                "tensorboard.backend.event_processing.event_accumulator")

# pylint: disable=wrong-import-position
from tensorboard.backend.event_processing import event_accumulator

TAGS = {"train/loss": "train_loss", "train/lr": "lr", "train/grad_norm": "grad_norm",
        "train/tokens_per_second": "tokens_per_second", "validation/loss": "val_loss"}


def read(run):
    accumulator = event_accumulator.EventAccumulator(
        str(run / "tensorboard"), size_guidance={event_accumulator.SCALARS: 0})
    accumulator.Reload()
    if accumulator.file_version != 2.0:
        sys.exit(f"the file's version is {accumulator.file_version}")
    return {tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
            for tag in accumulator.Tags()["scalars"]}


def expected(run):
    series = {tag: [] for tag in TAGS}
    with open(run / "metrics.jsonl", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            for tag, key in TAGS.items():
                if key in row:
                    series[tag].append((row["step"], row[key]))
    return series


def check(run):
    seen, wanted = read(run), expected(run)
    assert set(seen) == set(wanted), (set(seen), set(wanted))
    for tag, points in wanted.items():
        assert [step for step, _ in seen[tag]] == [step for step, _ in points], tag
        for (step, value), (_, want) in zip(seen[tag], points):
            assert abs(value - want) <= 1e-6 * abs(want), (tag, step, value, want)
    return sum(map(len, wanted.values()))


def main():
    folio = pathlib.Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(prefix="folio-tensorboard-") as temporary:
        run = tiny.train(folio, pathlib.Path(temporary), "run", "train.tensorboard=true",
                         stop_at=7)
        check(run)
        subprocess.run([folio, "train", "--resume", "--run", run], check=True,
                       stdout=subprocess.DEVNULL)
        print(f"TensorBoard read {check(run)} values of {len(TAGS)} series, over a stop and a "
              "continuation")


if __name__ == "__main__":
    main()
