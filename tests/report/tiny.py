"""Trains small runs for the checks."""

import subprocess

TEXT = "".join(f"{speaker}:\nSpeak, my lord, of night {i} and day.\n\n"
               for i in range(60) for speaker in ("HAMLET", "GHOST"))

CONFIG = """\
data: {{text: {text}}}
model: {{layers: 2, heads: 2, width: 16, context: 16}}
train:
  steps: 60
  batch: 4
  eval_every: 5
  eval_batches: 2
  checkpoint_every: 7
  sample_at: [0, 5, 20, 60]
  sample_prompt: "HAMLET:\\n"
  sample_tokens: 200
optimizer: {{lr: 0.01}}
schedule: {{warmup: 2}}
"""


def train(folio, folder, name, *overrides, stop_at=None):
    """Trains folder/name and returns it."""
    (folder / "text.txt").write_text(TEXT)
    (folder / "tiny.yaml").write_text(CONFIG.format(text=folder / "text.txt"))
    command = [folio, "train", folder / "tiny.yaml", "--run", folder / name]
    if stop_at is not None:
        command += ["--stop-at", str(stop_at)]
    if overrides:
        command += ["--set", *overrides]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)
    return folder / name
