#!/usr/bin/env python3
"""Times a GPT's training step in PyTorch on a GPU, in PyTorch's fastest form.

    python gpt_torch_gpu.py --layers 6 --heads 6 --width 384 --context 256 --batch 64 --dropout 0.2
    python gpt_torch_gpu.py ... --compile

The model is peers/gpt.py, with bf16 autocast, scaled_dot_product_attention with cuDNN's kernel if this PyTorch has
it, fused AdamW, clipping at 1.0, tied embeddings and random tokens (a step's time does not depend on them). Prints
one JSON object: the median time per step over the last half of the steps, without waiting between steps.
"""

import argparse
import contextlib
import json
import statistics

import torch
import torch.nn as nn

from gpt import GPT


def cudnn_attention():
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel
        return sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION], set_priority=True)
    except (ImportError, TypeError):  # an older PyTorch chooses the kernel itself
        return contextlib.nullcontext()


def main():
    options = argparse.ArgumentParser(description="A GPT's training step in PyTorch on a GPU")
    for name, default in dict(layers=12, heads=12, width=768, context=1024, batch=32, vocabulary=50304,
                              steps=40).items():
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--dropout", type=float, default=0.0)
    options.add_argument("--activation", choices=("gelu", "gelu_tanh"), default="gelu_tanh")
    options.add_argument("--bias", action="store_true")
    options.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    o = options.parse_args()

    torch.manual_seed(1337)
    torch.set_float32_matmul_precision("high")
    model = GPT(o, o.vocabulary).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True)
    forward = torch.compile(model) if o.compile else model
    events = [torch.cuda.Event(enable_timing=True) for _ in range(o.steps + 1)]
    with cudnn_attention():
        for step in range(o.steps):
            events[step].record()
            tokens = torch.randint(o.vocabulary, (o.batch, o.context + 1), device="cuda")
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = forward(tokens[:, :-1], tokens[:, 1:])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        events[o.steps].record()
    torch.cuda.synchronize()
    step_ms = [events[i].elapsed_time(events[i + 1]) for i in range(o.steps)]
    median = statistics.median(step_ms[o.steps // 2:])
    print(json.dumps(dict(peer="pytorch", version=torch.__version__, compiled=o.compile,
                          gpu=torch.cuda.get_device_name(), step_ms_median=round(median, 4),
                          tokens_per_second=round(1000 * o.batch * o.context / median),
                          peak_memory_mb=round(torch.cuda.max_memory_allocated() / 2**20))))


if __name__ == "__main__":
    main()
