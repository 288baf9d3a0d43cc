"""Checks that Hugging Face's GPT-2 computes the same as Folio from Folio's checkpoints.

Trains small models, loads each checkpoint with GPT2LMHeadModel.from_pretrained(), and compares the
loss over the whole validation split with that of `folio eval` (to 1e-6: gelu and its approximation
differ by 1e-5) and the greedy continuation of a prompt with that of `folio sample --greedy`
(exactly). The file must have the names and shapes that save_pretrained() writes.

It also checks byte pairs: AutoTokenizer reads a checkpoint's tokenizer and encodes a text as Folio
does. In the other direction, `train.init_from` begins with a GPT-2 that transformers saved.

This check is not part of the test suite, because it needs PyTorch. To run it:

    python3 -m venv /tmp/huggingface && /tmp/huggingface/bin/pip install torch transformers
    /tmp/huggingface/bin/python tests/formats/huggingface_check.py build/release/folio

It passed with transformers 5.24.0 and torch 2.15.0, with differences of at most 2e-8.
"""

import itertools
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import safetensors
import torch
import transformers
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

TOLERANCE = 1e-6
CONTEXT = 24
TEXT = "".join(f"{name}:\nSpeak, my lord, of night {i * i % 97} and day.\n\n"
               for i in range(120) for name in ("HAMLET", "GHOST"))
CONFIG = """\
data: {{text: {text}}}
model: {{layers: 3, heads: 4, width: 32, context: {context}, dropout: 0.1}}
train: {{steps: 80, batch: 8, eval_every: 0, checkpoint_every: 80, sample_at: []}}
optimizer: {{lr: 1.0e-2}}
schedule: {{warmup: 5}}
"""


def folio(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True,
                          text=True, timeout=300).stdout


def shapes(file):
    with safetensors.safe_open(file, "pt") as weights:
        return {name: weights.get_slice(name).get_shape() for name in weights.keys()}


def mean_loss(model, tokens):
    """The loss over consecutive windows of CONTEXT, as Folio evaluates: every token but the first counts."""
    total = 0.0
    for start in range(0, len(tokens) - 1, CONTEXT):
        window = tokens[start:start + CONTEXT + 1]
        logits = model(window[None, :-1]).logits[0]
        total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    return total / (len(tokens) - 1)


def window(count):
    """How many of `count` tokens Folio's sampler sees: inference/generate.h, window_length()."""
    half = max(1, CONTEXT // 2)
    return count if count <= CONTEXT else half + (count - CONTEXT - 1) % (CONTEXT - half + 1)


def continuation(model, tokens, length):
    for _ in range(length):
        logits = model(tokens[None, -window(len(tokens)):]).logits[0, -1]
        tokens = torch.cat([tokens, logits.argmax()[None]])
    return tokens


@torch.no_grad()
def check(program, config, run, overrides):
    folio(program, "train", config, "--run", run, "--set", *overrides)
    checkpoint = run / "checkpoints" / "step_80"
    model, loading = GPT2LMHeadModel.from_pretrained(checkpoint, output_loading_info=True)
    model.eval()
    complaints = {kind: names for kind, names in loading.items() if names}
    model.save_pretrained(run / "theirs")
    if shapes(checkpoint / "model.safetensors") != shapes(run / "theirs" / "model.safetensors"):
        complaints["file"] = "the names or shapes differ from those that save_pretrained() writes"
    characters = sorted(set(TEXT))
    number = {character: i for i, character in enumerate(characters)}
    tokens = torch.tensor([number[character] for character in TEXT])
    validation = tokens[int(len(tokens) * 0.9):]

    ours = json.loads(folio(program, "eval", run))["loss"]
    theirs = mean_loss(model, validation)
    written = folio(program, "sample", run, "--greedy", "--prompt", "GHO", "--max-tokens", 60)
    prompt = torch.tensor([number[character] for character in "GHO"])
    same = "".join(characters[i] for i in continuation(model, prompt, 60)) + "\n" == written
    passed = abs(ours - theirs) < TOLERANCE and same and not complaints
    print(f"{' '.join(overrides)}: folio {ours:.6f}, transformers {theirs:.6f}, difference "
          f"{abs(ours - theirs):.1e}, continuation {'the same' if same else 'DIFFERS'}"
          f"{f', {complaints}' if complaints else ''}: {'ok' if passed else 'FAILED'}", flush=True)
    return passed


@torch.no_grad()
def check_byte_pairs(program, config, folder):
    """Checks a run on a text prepared with bpe, as transformers reads it."""
    prepared, run = folder / "prepared", folder / "bpe"
    folio(program, "prepare", folder / "text.txt", "--vocab-size", 320, "--out", prepared)
    settings = [f"data.text={prepared}", "data.tokenizer=bpe"]
    folio(program, "train", config, "--run", run, "--set", *settings)
    tokenizer = AutoTokenizer.from_pretrained(run / "checkpoints" / "step_80")
    written = (prepared / "tokens.bin").read_bytes()
    tokens = list(struct.unpack(f"<{len(written) // 2}H", written))
    strange = "Caf\u00e9 \u03a9 \U0001F600  it's\u00a012\n\n  end"
    same = (tokenizer(TEXT)["input_ids"] == tokens and tokenizer.decode(tokens) == TEXT
            and tokenizer.decode(tokenizer(strange)["input_ids"]) == strange)
    print(f"tokenizer: {len(tokens)} tokens, {'the same' if same else 'DIFFERENT'}", flush=True)
    return same


@torch.no_grad()
def check_initial_weights(program, config, folder):
    """Checks a model that transformers saved, with more positions than are used, as Folio evaluates it."""
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_positions=2 * CONTEXT, n_embd=32, n_layer=3,
                                       n_head=4, bos_token_id=319,
                                       eos_token_id=319)).eval()
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    settings = [f"data.text={folder / 'prepared'}", "data.tokenizer=bpe", "model.bias=true",
                "model.activation=gelu_tanh", "train.steps=1", "train.checkpoint_every=1",
                "optimizer.lr=1e-30", "schedule.final_lr=0", "optimizer.weight_decay=0",
                "train.precision=f32"]
    written = (folder / "prepared" / "tokens.bin").read_bytes()
    tokens = torch.tensor(struct.unpack(f"<{len(written) // 2}H", written))
    theirs = mean_loss(model, tokens[int(len(tokens) * 0.9):])
    passed = True
    for name, part in (("GPT2LMHeadModel", model), ("GPT2Model", model.transformer)):
        part.save_pretrained(folder / name)
        run = folder / f"from_{name}"
        folio(program, "train", config, "--run", run, "--set", *settings,
              f"train.init_from={folder / name}")
        ours = json.loads(folio(program, "eval", run))["loss"]
        passed = passed and abs(ours - theirs) < TOLERANCE
        print(f"weights of a {name}: folio {ours:.6f}, transformers {theirs:.6f}, difference "
              f"{abs(ours - theirs):.1e}: {'ok' if abs(ours - theirs) < TOLERANCE else 'FAILED'}",
              flush=True)
    return passed


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: huggingface_check.py FOLIO")
    passed = True
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory(prefix="folio-huggingface-") as name:
        folder = pathlib.Path(name)
        (folder / "text.txt").write_text(TEXT)
        config = folder / "tiny.yaml"
        config.write_text(CONFIG.format(text=folder / "text.txt", context=CONTEXT))
        for i, choice in enumerate(itertools.product(
                ("gelu", "gelu_tanh", "relu"), ("true", "false"), ("true", "false"))):
            overrides = [f"model.{key}={value}"
                         for key, value in zip(("activation", "bias", "tied"), choice)]
            passed = check(sys.argv[1], config, folder / f"run{i}", overrides) and passed
        passed = check_byte_pairs(sys.argv[1], config, folder) and passed
        passed = check_initial_weights(sys.argv[1], config, folder) and passed
    sys.exit(not passed)


if __name__ == "__main__":
    main()
