"""nanoGPT's GPT in PyTorch, in its fastest form: packed queries, keys and values,
scaled_dot_product_attention, optional biases, dropout in nanoGPT's four places, tied embeddings.
It is built from one of Folio's configs, so that both train the same model, and used by the scripts in this folder.
"""

import math
import types

import torch
import torch.nn as nn
import torch.nn.functional as F


def read_config(path):
    """The YAML file as an object, with members such as config.model.layers."""
    import yaml  # imported here because only this function needs it
    with open(path, encoding="utf-8") as file:
        sections = yaml.safe_load(file)
    return types.SimpleNamespace(**{name: types.SimpleNamespace(**keys) for name, keys in sections.items()})


class Norm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(c.width))
        self.bias = nn.Parameter(torch.zeros(c.width)) if c.bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.dropout = c.heads, c.dropout
        self.activation = {"gelu": "none", "gelu_tanh": "tanh"}[c.activation]
        self.attention_norm, self.feed_forward_norm = Norm(c), Norm(c)
        self.qkv = nn.Linear(c.width, 3 * c.width, bias=c.bias)
        self.projection = nn.Linear(c.width, c.width, bias=c.bias)
        self.up = nn.Linear(c.width, 4 * c.width, bias=c.bias)
        self.down = nn.Linear(4 * c.width, c.width, bias=c.bias)

    def forward(self, x):  # (B, T, C) -> (B, T, C)
        B, T, C = x.shape
        p = self.dropout if self.training else 0.0
        qkv = self.qkv(self.attention_norm(x)).view(B, T, 3, self.heads, C // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))  # (B, H, T, d) each
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        x = x + F.dropout(self.projection(mixed.transpose(1, 2).reshape(B, T, C)), p, self.training)
        inner = F.gelu(self.up(self.feed_forward_norm(x)), approximate=self.activation)
        return x + F.dropout(self.down(inner), p, self.training)


class GPT(nn.Module):
    def __init__(self, c, vocabulary):
        super().__init__()
        self.context, self.dropout = c.context, c.dropout
        self.token = nn.Embedding(vocabulary, c.width)  # also the output layer's weight
        self.position = nn.Embedding(c.context, c.width)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.final_norm = Norm(c)
        for name, parameter in self.named_parameters():
            if parameter.dim() >= 2:
                into_residual = name.endswith(("projection.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * c.layers) if into_residual else 0.02)

    def hidden(self, inputs):  # (B, T) -> (B, T, C), normalised
        x = self.token(inputs) + self.position.weight[: inputs.shape[1]]
        x = F.dropout(x, self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        return self.final_norm(x)

    def forward(self, inputs, targets, reduction="mean"):  # (B, T) each -> the loss
        logits = F.linear(self.hidden(inputs), self.token.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction=reduction)

    def next_logits(self, inputs):  # (B, T) -> (B, V), of the last position only
        return F.linear(self.hidden(inputs)[:, -1], self.token.weight)
