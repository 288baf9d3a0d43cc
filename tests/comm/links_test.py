"""Tests ranks on separate machines: network namespaces joined by slow links. Ends with 77 if these cannot be made.

usage: links_test.py FOLIO MPIRUN
"""

import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
import links

FOLIO, MPIRUN = sys.argv[1:3]
CONFIG = """
data: {text: %s}
model: {layers: 2, heads: 2, width: 64, context: 16, dropout: 0.1}
train: {steps: 20, batch: 6, accumulate: 3, reduce: ordered, precision: f32, threads: 1, eval_every: 20,
        checkpoint_every: 20, sample_at: [], bucket_mb: 0.1}
"""


def main():
    if lacking := links.missing():
        print(f"skipped: this needs {lacking}")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="folio-links-test-") as folder, \
            links.Links(3, rate=400, delay=0.5) as network:
        folder = pathlib.Path(folder)
        (folder / "text.txt").write_text("the king is dead, my lord; speak no more of this\n" * 60)
        (folder / "config.yaml").write_text(CONFIG % (folder / "text.txt"))

        def train(launcher, name, *arguments):
            result = subprocess.run(
                [*launcher, FOLIO, "train", folder / "config.yaml", "--run", folder / name, *arguments],
                capture_output=True, text=True, timeout=60)
            assert result.returncode == 0, result.stdout + result.stderr
            return result.stdout, (folder / name / "checkpoints/step_20/model.safetensors").read_bytes()

        _, alone = train([], "alone")
        for overrides in ([], ["--set", "optimizer.shard=true"]):
            output, shared = train(network.mpirun(3, MPIRUN), f"three{len(overrides)}", *overrides)
            assert "ranks   3 on 3 machines" in output, output
            assert shared == alone, "the weights of three machines differ from those of one process"


main()
