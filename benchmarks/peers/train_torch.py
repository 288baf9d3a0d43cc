#!/usr/bin/env python3
"""Trains one of Folio's configs in PyTorch, in its fastest form for a CPU.

    python train_torch.py --config configs/nanogpt_cpu.yaml --text tiny.txt --steps 200
    python train_torch.py --config configs/nanogpt_cpu.yaml --text tiny.txt --eval    all steps, then the validation split

The model is peers/gpt.py. As in nanoGPT's train.py, it is trained by AdamW (fused if this PyTorch has it) with decay
on matrices only, clipping, warm-up and a cosine schedule. A config with `text: synthetic` trains on random tokens.
Prints one JSON object per line: every step, the validation split with --eval, and a summary at the end.
"""

import argparse
import contextlib
import json
import math
import resource
import statistics
import time

import torch
import torch.nn as nn

from gpt import GPT, read_config


def read_text(path, validation_fraction):
    """The characters as ids; the last part is the validation split."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    ids = {character: i for i, character in enumerate(sorted(set(text)))}
    tokens = torch.tensor([ids[character] for character in text])
    n = int((1 - validation_fraction) * len(tokens))
    return tokens[:n], tokens[n:], len(ids)


def random_tokens(vocabulary, count=1 << 20):
    tokens = torch.randint(vocabulary, (count,))
    return tokens, tokens[:1], vocabulary


def learning_rate(step, steps, warmup, peak, final):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    return final + 0.5 * (1 + math.cos(math.pi * done)) * (peak - final)


def make_optimizer(model, options):
    parameters = list(model.parameters())
    groups = [dict(params=[p for p in parameters if p.dim() >= 2], weight_decay=options.weight_decay),
              dict(params=[p for p in parameters if p.dim() < 2], weight_decay=0.0)]
    rest = dict(lr=0.0, betas=tuple(options.betas), eps=float(options.eps))
    try:
        return torch.optim.AdamW(groups, fused=True, **rest), "fused"
    except (RuntimeError, TypeError, ValueError):  # a PyTorch without fused AdamW on the CPU
        return torch.optim.AdamW(groups, **rest), "for each"


def full_pass(model, tokens, context, windows_at_once=128):
    """Mean loss over all predicted tokens: consecutive windows of the context, the last one shorter."""
    model.eval()
    inputs, targets = tokens[:-1], tokens[1:]
    total, whole = 0.0, len(inputs) // context * context
    pieces = list(zip(inputs[:whole].view(-1, context).split(windows_at_once),
                      targets[:whole].view(-1, context).split(windows_at_once)))
    if whole < len(inputs):
        pieces.append((inputs[None, whole:], targets[None, whole:]))
    with torch.no_grad():
        for x, y in pieces:
            total += model(x, y, reduction="sum").item()
    return total / len(inputs), len(inputs)


def say(**fields):
    print(json.dumps(fields), flush=True)


def parse_arguments():
    options = argparse.ArgumentParser(description="Trains one of Folio's configs in PyTorch")
    options.add_argument("--config", required=True, help="a YAML file of configs/")
    options.add_argument("--text", help="a UTF-8 text file; not needed for a config on random tokens")
    options.add_argument("--steps", type=int, help="default: the config's")
    options.add_argument("--seed", type=int, default=1337)
    options.add_argument("--lr", type=float, help="the peak learning rate (default: the config's)")
    options.add_argument("--final-lr", type=float, help="the final learning rate of the cosine (default: the config's)")
    options.add_argument("--threads", type=int, default=0, help="0: PyTorch's default")
    options.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    options.add_argument("--bf16", action="store_true", help="bf16 autocast instead of f32")
    options.add_argument("--eval", action="store_true", help="evaluate the whole validation split at the end")
    options.add_argument("--eval-every", type=int, default=0, help="also evaluate after every so many steps")
    return options.parse_args()


def main():
    args = parse_arguments()
    config = read_config(args.config)
    steps = args.steps or config.train.steps
    peak, final = args.lr or float(config.optimizer.lr), args.final_lr or float(config.schedule.final_lr)
    batch, context = config.train.batch, config.model.context
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    training, validation, vocabulary = (
        random_tokens(config.data.vocabulary) if config.data.text == "synthetic"
        else read_text(args.text, config.data.validation_fraction))
    model = GPT(config.model, vocabulary)
    optimizer, kind = make_optimizer(model, config.optimizer)
    forward = torch.compile(model) if args.compile else model
    precision = (lambda: torch.autocast("cpu", dtype=torch.bfloat16)) if args.bf16 else contextlib.nullcontext
    window = torch.arange(context)

    step_ms = []
    for step in range(steps):
        start = time.perf_counter()
        lr = learning_rate(step, steps, config.schedule.warmup, peak, final)
        for group in optimizer.param_groups:
            group["lr"] = lr
        at = torch.randint(len(training) - context, (batch,))[:, None] + window  # (B, T)
        with precision():
            loss = forward(training[at], training[at + 1])
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        step_ms.append((time.perf_counter() - start) * 1000)
        say(step=step, train_loss=value, lr=lr, grad_norm=norm.item(), step_ms=round(step_ms[-1], 3))
        if args.eval_every and (step + 1) % args.eval_every == 0 and step + 1 < steps:
            say(step=step + 1, val_loss=full_pass(model, validation, context)[0])
            model.train()

    peak_rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # of training, not of evaluation
    val_loss = None
    if args.eval:
        val_loss, tokens = full_pass(model, validation, context)
        say(split="val", loss=val_loss, tokens=tokens)
    say(peer="pytorch", version=torch.__version__, threads=torch.get_num_threads(), compiled=args.compile,
        precision="bf16" if args.bf16 else "f32", adamw=kind, steps=steps, seed=args.seed,
        parameters=sum(p.numel() for p in model.parameters()), step_ms_median=round(statistics.median(step_ms), 3),
        train_seconds=round(sum(step_ms) / 1000, 3), val_loss=val_loss, peak_rss_mb=round(peak_rss_mb, 1))


if __name__ == "__main__":
    main()
