#!/usr/bin/env python3
"""Writes ops.json: what PyTorch computes for single ops on small, odd shapes.

    python make_ops.py             rewrites ops.json beside this file

Needs torch (the file records its version). Values are computed in float64 and written with
nine significant digits. Each entry holds its inputs, the gradient that arrives at the output
("d" + the output's name), the output, and the gradients of the inputs ("d" + the input's name).
"""

import math

import torch
import torch.nn.functional as F

from make_tiny_gpt import EPS, IGNORED, numbers, write_golden


def wave(*shape, phase, size=1.0):
    """Inputs that need no random numbers."""
    j = torch.arange(math.prod(shape), dtype=torch.float64)
    exact = size * torch.sin(1.7 * j + phase) + 0.3 * torch.cos(0.31 * j * j + phase)
    # The computation uses exactly the values written to the file.
    return torch.tensor([float(f"{x:.6g}") for x in exact.tolist()], dtype=torch.float64).reshape(shape)


def entry(inputs, op, output="y", **settings):
    """Runs op on the inputs, propagates a fixed gradient back, and records both passes."""
    leaves = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    y = op(**leaves)
    dy = wave(*y.shape, phase=2.2) if y.dim() else torch.ones((), dtype=torch.float64)
    gradients = torch.autograd.grad(y, list(leaves.values()), dy)
    check(op, leaves, dy, gradients)
    record = dict(settings)
    for name, value in inputs.items():
        record |= {name + "_shape": list(value.shape), name: numbers(value)}
    record |= {output + "_shape": list(y.shape), output: numbers(y), "d" + output: numbers(dy)}
    return record | {"d" + name: numbers(g) for name, g in zip(inputs, gradients)}


def check(op, leaves, dy, gradients, step=1e-6):
    """Compares every gradient with central differences."""
    with torch.no_grad():
        for (name, leaf), gradient in zip(leaves.items(), gradients):
            for j in range(leaf.numel()):
                kept, value = leaf.view(-1)[j].item(), {}
                for side in (+1, -1):
                    leaf.view(-1)[j] = kept + side * step
                    value[side] = (op(**leaves) * dy).sum()
                leaf.view(-1)[j] = kept
                error = (value[+1] - value[-1]) / (2 * step) - gradient.reshape(-1)[j]
                assert abs(error) < 1e-8, f"{name}[{j}]: off by {error:.1e}"


def gelu(form):
    x = torch.tensor([-6.0, -3.0, -1.5, -0.5, 0.0, 0.25, 1.0, 2.75, 6.0], dtype=torch.float64)
    return entry(dict(x=x), lambda x: F.gelu(x, approximate=form))


def layer_norm(bias):
    inputs = dict(x=wave(3, 7, phase=0.4, size=2.0) + 0.5, weight=1 + wave(7, phase=1.1, size=0.2))
    if bias:
        inputs["bias"] = wave(7, phase=3.0)
    return entry(inputs, lambda x, weight, bias=None: F.layer_norm(x, (7,), weight, bias, EPS), eps=EPS)


def cross_entropy(label_smoothing):
    targets = [3, IGNORED, 0, 6]
    return entry(dict(logits=wave(4, 7, phase=0.9, size=2.0)),
                 lambda logits: F.cross_entropy(logits, torch.tensor(targets), ignore_index=IGNORED,
                                                label_smoothing=label_smoothing),
                 output="loss", targets=targets, ignored_target=IGNORED, label_smoothing=label_smoothing)


def attention(Tq, Tk, causal, key_mask=None):
    B, H, d = 1, 2, 4
    mask = None if key_mask is None else torch.tensor(key_mask, dtype=torch.bool).reshape(B, 1, 1, Tk)
    inputs = dict(q=wave(B, H, Tq, d, phase=0.2), k=wave(B, H, Tk, d, phase=1.4), v=wave(B, H, Tk, d, phase=2.9))
    settings = dict(causal=causal, scale=1 / math.sqrt(d), axes="(B, H, T, d)")
    if key_mask is not None:
        settings |= dict(key_mask=key_mask, key_mask_meaning="(B, Tk), 1: attended to, 0: padding")
    return entry(inputs, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal),
                 **settings)


def main():
    torch.set_num_threads(1)
    write_golden(__file__, dict(
        gelu_erf=gelu("none"),
        gelu_tanh=gelu("tanh"),
        layer_norm_with_bias=layer_norm(bias=True),
        layer_norm_without_bias=layer_norm(bias=False),
        softmax=entry(dict(x=wave(2, 5, phase=0.7, size=3.0)), lambda x: x.softmax(-1)),
        log_softmax=entry(dict(x=wave(2, 5, phase=0.7, size=3.0)), lambda x: x.log_softmax(-1)),
        cross_entropy=cross_entropy(0.0),
        cross_entropy_smoothed=cross_entropy(0.1),
        attention_key_mask=attention(3, 5, causal=False, key_mask=[1, 1, 0, 1, 0]),
        attention_causal=attention(5, 5, causal=True)))


if __name__ == "__main__":
    main()
