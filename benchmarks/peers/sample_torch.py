#!/usr/bin/env python3
"""Samples from a GPT with random weights in PyTorch; the time per token does not depend on the weights.

    python sample_torch.py --config configs/nanogpt_cpu.yaml --tokens 300                    nanoGPT's way
    python sample_torch.py --config configs/gpt2_124m.yaml --tokens 100 --transformers       GPT-2 with its cache

nanoGPT's way computes the whole context again for every token, and only the last position's logits. With
--transformers the model is Hugging Face's GPT2LMHeadModel, whose generate() caches keys and values. Prints one JSON
object: tokens/s of one sequence after a short warm-up, and the largest resident size.
"""

import argparse
import json
import resource
import time

import torch
import torch.nn.functional as F

from gpt import GPT, read_config

TEMPERATURE = 0.8


@torch.no_grad()
def nanogpt_sample(config, vocabulary, count):
    model = GPT(config.model, vocabulary).eval()

    def generate(tokens):  # one sequence (1, T), initially of one token
        sequence = torch.zeros(1, 1, dtype=torch.long)
        for _ in range(tokens):
            logits = model.next_logits(sequence[:, -config.model.context:]) / TEMPERATURE
            sequence = torch.cat((sequence, torch.multinomial(F.softmax(logits, -1), 1)), dim=1)

    generate(20)
    start = time.perf_counter()
    generate(count)
    return time.perf_counter() - start


@torch.no_grad()
def transformers_sample(config, vocabulary, count):
    from transformers import GPT2Config, GPT2LMHeadModel
    c = config.model
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=vocabulary, n_positions=c.context, n_embd=c.width, n_layer=c.layers, n_head=c.heads,
        activation_function={"gelu": "gelu", "gelu_tanh": "gelu_new"}[c.activation])).eval()

    def generate(tokens):
        start = torch.zeros(1, 1, dtype=torch.long)
        out = model.generate(start, attention_mask=torch.ones_like(start), min_new_tokens=tokens, max_new_tokens=tokens,
                             do_sample=True, temperature=TEMPERATURE, top_k=0, use_cache=True, pad_token_id=0)
        assert out.shape[1] == tokens + 1

    generate(10)
    start = time.perf_counter()
    generate(count)
    return time.perf_counter() - start


def main():
    options = argparse.ArgumentParser(description="Measures tokens/s of one sequence in PyTorch")
    options.add_argument("--config", required=True, help="a YAML file of configs/")
    options.add_argument("--vocabulary", type=int, default=65, help="used if the config does not give it")
    options.add_argument("--tokens", type=int, required=True)
    options.add_argument("--threads", type=int, default=0, help="0: PyTorch's default")
    options.add_argument("--transformers", action="store_true", help="Hugging Face's GPT-2, with its cache")
    args = options.parse_args()
    config = read_config(args.config)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    sample = transformers_sample if args.transformers else nanogpt_sample
    seconds = sample(config, getattr(config.data, "vocabulary", args.vocabulary), args.tokens)
    version = torch.__version__
    if args.transformers:
        import transformers
        version = f"{transformers.__version__} (pytorch {version})"
    print(json.dumps(dict(peer="transformers" if args.transformers else "pytorch", version=version,
                          threads=torch.get_num_threads(), tokens=args.tokens,
                          tokens_per_second=round(args.tokens / seconds, 2),
                          peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1))))


if __name__ == "__main__":
    main()
