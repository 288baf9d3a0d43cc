#!/usr/bin/env python3
"""nanoGPT's CPU recipe in PyTorch, as fast as PyTorch does it on a CPU without leaving fp32.

    python nanogpt_torch.py --text tiny.txt --steps 200
    python nanogpt_torch.py --text tiny.txt --eval          the whole recipe, then the validation split

A character-level GPT: 4 layers, 4 heads, width 128, context 64, batch 12, no dropout, no biases, tied
embeddings, pre-norm, learned positions, GELU (erf); AdamW with betas 0.9 and 0.99, decay 0.1 on
matrices, clipping at 1.0; 100 warm-up steps, then a cosine down to a tenth of the peak rate.

Packed QKV, scaled_dot_product_attention and fused AdamW where this PyTorch has it. Prints one JSON
object a line: every step, the validation split with --eval, and a summary at the end.
"""

import argparse
import json
import math
import resource
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

LAYERS, HEADS, WIDTH, CONTEXT, BATCH = 4, 4, 128, 64, 12
BETAS, DECAY, CLIP, WARMUP = (0.9, 0.99), 0.1, 1.0, 100


class Norm(nn.Module):
    """Layer norm without a bias."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.layer_norm(x, (WIDTH,), self.weight, None, 1e-5)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.feed_forward_norm = Norm(), Norm()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.projection = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):  # (B, T, C) -> (B, T, C)
        B, T, C = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(B, T, 3, HEADS, C // HEADS)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))  # (B, H, T, d) each
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.feed_forward_norm(x))))


class GPT(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.token = nn.Embedding(vocab, WIDTH)  # also the output layer's weight
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.final_norm = Norm()
        for name, parameter in self.named_parameters():
            if parameter.dim() >= 2:
                into_residual = name.endswith(("projection.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * LAYERS) if into_residual else 0.02)

    def forward(self, inputs, targets, reduction="mean"):  # (B, T) each -> the loss
        x = self.token(inputs) + self.position.weight[: inputs.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.final_norm(x), self.token.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction=reduction)


def read_text(path):
    """The characters as ids, the first 90 % to train on and the rest to validate on."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    ids = {character: i for i, character in enumerate(sorted(set(text)))}
    tokens = torch.tensor([ids[character] for character in text])
    n = int(0.9 * len(tokens))
    return tokens[:n], tokens[n:], len(ids)


def learning_rate(step, steps, peak):
    final = peak / 10
    if step < WARMUP:
        return peak * (step + 1) / (WARMUP + 1)
    done = (step - WARMUP) / max(1, steps - WARMUP)
    return final + 0.5 * (1 + math.cos(math.pi * done)) * (peak - final)


def make_optimizer(model):
    parameters = list(model.parameters())
    groups = [dict(params=[p for p in parameters if p.dim() >= 2], weight_decay=DECAY),
              dict(params=[p for p in parameters if p.dim() < 2], weight_decay=0.0)]
    try:
        return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=1e-8, fused=True), "fused"
    except (RuntimeError, TypeError, ValueError):  # a PyTorch whose CPU has none
        return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, eps=1e-8), "for each"


def full_pass(model, tokens, windows_at_once=128):
    """Mean loss over all predicted tokens: consecutive windows of CONTEXT, the last one shorter."""
    inputs, targets = tokens[:-1], tokens[1:]
    total, whole = 0.0, len(inputs) // CONTEXT * CONTEXT
    pieces = list(zip(inputs[:whole].view(-1, CONTEXT).split(windows_at_once),
                      targets[:whole].view(-1, CONTEXT).split(windows_at_once)))
    if whole < len(inputs):
        pieces.append((inputs[None, whole:], targets[None, whole:]))
    with torch.no_grad():
        for x, y in pieces:
            total += model(x, y, reduction="sum").item()
    return total / len(inputs), len(inputs)


def say(**fields):
    print(json.dumps(fields), flush=True)


def main():
    options = argparse.ArgumentParser(description="nanoGPT's CPU recipe in PyTorch")
    options.add_argument("--text", required=True, help="a UTF-8 text file")
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1337)
    options.add_argument("--lr", type=float, default=1e-3, help="the peak; the schedule ends at a tenth of it")
    options.add_argument("--threads", type=int, default=0, help="0: as many as PyTorch chooses")
    options.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    options.add_argument("--eval", action="store_true", help="read the validation split once at the end")
    args = options.parse_args()

    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    training, validation, vocab = read_text(args.text)
    model = GPT(vocab)
    optimizer, kind = make_optimizer(model)
    forward = torch.compile(model) if args.compile else model
    window = torch.arange(CONTEXT)

    step_ms = []
    for step in range(args.steps):
        start = time.perf_counter()
        lr = learning_rate(step, args.steps, args.lr)
        for group in optimizer.param_groups:
            group["lr"] = lr
        at = torch.randint(len(training) - CONTEXT, (BATCH,))[:, None] + window  # (B, T)
        loss = forward(training[at], training[at + 1])
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        step_ms.append((time.perf_counter() - start) * 1000)
        say(step=step, train_loss=value, lr=lr, grad_norm=norm.item(), step_ms=round(step_ms[-1], 3))

    peak_rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # of training, not of evaluation
    val_loss = None
    if args.eval:
        val_loss, tokens = full_pass(model, validation)
        say(split="val", loss=val_loss, tokens=tokens)
    say(peer="pytorch", version=torch.__version__, threads=torch.get_num_threads(), compiled=args.compile,
        adamw=kind, steps=args.steps, seed=args.seed, parameters=sum(p.numel() for p in model.parameters()),
        step_ms_median=round(statistics.median(step_ms), 3), train_seconds=round(sum(step_ms) / 1000, 3),
        val_loss=val_loss, peak_rss_mb=round(peak_rss_mb, 1))


if __name__ == "__main__":
    main()
