#!/usr/bin/env python3
"""Writes tiny_gpt.json: what PyTorch computes for three tiny GPTs with fixed weights.

    python make_tiny_gpt.py        rewrites tiny_gpt.json beside this file

Needs torch (the file records its version). All values are computed in float64 and written with nine
significant digits. The three models cover the relevant options of Folio's config:

    nanogpt   pre-norm,  learned positions,    gelu (erf),  tied,   no biases
    gpt2      pre-norm,  learned positions,    gelu (tanh), tied,   biases
    vaswani   post-norm, sinusoidal positions, relu,        untied, biases

For each model the file has the logits; the loss and every parameter's gradient, without and with label
smoothing; and 20 AdamW steps with clipping and the cosine schedule. For nanogpt it also has a few SGD
and Adam steps. Before anything is written, the gradients are compared with central differences.
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

VOCAB, CONTEXT, WIDTH, HEADS, LAYERS = 11, 6, 8, 2, 2
EPS = 1e-5
IGNORED = -1

CASES = {
    "nanogpt": dict(bias=False, norm="pre", positions="learned", activation="gelu", tied=True),
    "gpt2": dict(bias=True, norm="pre", positions="learned", activation="gelu_tanh", tied=True),
    "vaswani": dict(bias=True, norm="post", positions="sinusoidal", activation="relu", tied=False),
}

# Token 7 is never an input and token 4 never a target, so that rows without a contribution are tested too.
INPUTS = [[1, 5, 10, 0, 3, 5], [2, 2, 9, 6, 8, 4]]
TARGETS = [[5, 10, 0, 3, 5, 7], [2, 9, IGNORED, 8, 6, 1]]

# The frequency of the weights' sine along the elements. At width 8 some values make rows that nearly cancel
# when token and position embeddings are added; layer norm then magnifies rounding.
ELEMENT_PHASE = 0.47

WEIGHTS = {
    "k": "index of the parameter in the case's parameters, from 0",
    "j": "index of the element within the parameter, row-major, from 0",
    "norm_weight": "1 + 0.1 * sin(0.9 * j + k), for *norm.weight",
    "other": "0.25 * sin(element_phase * j + 1.3 * k + 0.5), for everything else",
    "element_phase": ELEMENT_PHASE,
}


# ---- the model ------------------------------------------------------------------------------------

def parameter_shapes(model):
    """Names and shapes, in the order of their numbers. Linear weights are (out, in)."""
    C, V, T = model["width"], model["vocab"], model["context"]
    shapes = {"token_embedding.weight": (V, C)}
    if model["positions"] == "learned":
        shapes["position_embedding.weight"] = (T, C)

    def with_bias(name, *shape):
        shapes[name + ".weight"] = shape
        if model["bias"]:
            shapes[name + ".bias"] = shape[:1]

    for i in range(model["layers"]):
        with_bias(f"blocks.{i}.attention_norm", C)
        with_bias(f"blocks.{i}.attention.qkv", 3 * C, C)
        with_bias(f"blocks.{i}.attention.projection", C, C)
        with_bias(f"blocks.{i}.feed_forward_norm", C)
        with_bias(f"blocks.{i}.feed_forward.up", 4 * C, C)
        with_bias(f"blocks.{i}.feed_forward.down", C, 4 * C)
    if model["norm"] == "pre":
        with_bias("final_norm", C)
    if not model["tied"]:
        shapes["output.weight"] = (V, C)
    return shapes


def make_parameters(model, dtype=torch.float64):
    parameters = {}
    for k, (name, shape) in enumerate(parameter_shapes(model).items()):
        j = torch.arange(math.prod(shape), dtype=torch.float64)
        if name.endswith("norm.weight"):
            value = 1 + 0.1 * torch.sin(0.9 * j + k)
        else:
            value = 0.25 * torch.sin(ELEMENT_PHASE * j + 1.3 * k + 0.5)
        parameters[name] = value.reshape(shape).to(dtype).requires_grad_()
    return parameters


def sinusoidal_positions(T, C, dtype):
    """Vaswani et al. 2017, section 3.5: sin in the even columns, cos in the odd ones. (T, C)"""
    position = torch.arange(T, dtype=torch.float64)[:, None]
    angle = position / 10000 ** (torch.arange(0, C, 2, dtype=torch.float64) / C)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).reshape(T, C).to(dtype)


def logits_of(model, parameters, inputs):
    """(B, T) token ids -> (B, T, V)"""
    B, T = inputs.shape
    C, H = model["width"], model["heads"]
    p = parameters

    def linear(name, x):
        return F.linear(x, p[name + ".weight"], p.get(name + ".bias"))

    def norm(name, x):
        return F.layer_norm(x, (C,), p[name + ".weight"], p.get(name + ".bias"), EPS)

    def attention(name, x):
        q, k, v = linear(name + ".qkv", x).reshape(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(C // H)  # (B, H, T, T)
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        return linear(name + ".projection", mixed.transpose(1, 2).reshape(B, T, C))

    def feed_forward(name, x):
        x = linear(name + ".up", x)
        if model["activation"] == "relu":
            x = x.relu()
        else:
            x = F.gelu(x, approximate="tanh" if model["activation"] == "gelu_tanh" else "none")
        return linear(name + ".down", x)

    token = p["token_embedding.weight"]
    learned = p.get("position_embedding.weight")
    positions = sinusoidal_positions(T, C, token.dtype) if learned is None else learned[:T]
    x = token[inputs] + positions
    for i in range(model["layers"]):
        for part, layer in (("attention", attention), ("feed_forward", feed_forward)):
            name = f"blocks.{i}.{part}"
            if model["norm"] == "pre":
                x = x + layer(name, norm(name + "_norm", x))
            else:
                x = norm(name + "_norm", x + layer(name, x))
    if model["norm"] == "pre":
        x = norm("final_norm", x)
    return F.linear(x, token if model["tied"] else p["output.weight"])


def loss_of(logits, targets, label_smoothing):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1),
                           ignore_index=IGNORED, label_smoothing=label_smoothing)


# ---- what is recorded -----------------------------------------------------------------------------

def gradients_of(model, parameters, inputs, targets, label_smoothing):
    loss = loss_of(logits_of(model, parameters, inputs), targets, label_smoothing)
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    return loss, dict(zip(parameters, gradients))


def check_gradients(model, inputs, targets, label_smoothing, entries=4, step=1e-5):
    """Compares a few entries of every parameter with central differences. Returns the largest error,
    relative to the parameter's largest gradient."""
    parameters = make_parameters(model)
    _, gradients = gradients_of(model, parameters, inputs, targets, label_smoothing)
    worst = 0.0
    with torch.no_grad():
        for name, value in parameters.items():
            flat, gradient = value.view(-1), gradients[name].reshape(-1)
            # The entry with the largest gradient, and others spread over the parameter.
            chosen = {int(gradient.abs().argmax())} | {(i * 37 + 5) % flat.numel() for i in range(entries)}
            for j in chosen:
                kept, loss = flat[j].item(), {}
                for side in (+1, -1):
                    flat[j] = kept + side * step
                    loss[side] = loss_of(logits_of(model, parameters, inputs), targets, label_smoothing)
                flat[j] = kept
                difference = (loss[+1] - loss[-1]) / (2 * step)
                worst = max(worst, float((difference - gradient[j]).abs() / gradient.abs().max()))
    assert worst < 1e-6, f"gradients differ from central differences: {worst}"
    return worst


def cosine_lr(step, peak, final, warmup, steps):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return final + 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) * (peak - final)


def train(model, inputs, targets, settings, dtype=torch.float64):
    """Runs the optimizer repeatedly on one batch; returns the steps and the final parameters."""
    parameters = make_parameters(model, dtype)
    matrices = [p for p in parameters.values() if p.dim() >= 2]
    vectors = [p for p in parameters.values() if p.dim() < 2]
    decay = settings.get("weight_decay", 0.0)
    groups = [dict(params=matrices, weight_decay=decay), dict(params=vectors, weight_decay=0.0)]
    if settings["name"] == "sgd":
        optimizer = torch.optim.SGD(groups, lr=0.0, momentum=settings["momentum"])
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings["name"]]
        optimizer = kind(groups, lr=0.0, betas=settings["betas"], eps=settings["eps"],
                         fused=False, foreach=False)
    schedule = settings["schedule"]
    steps = []
    for step in range(settings["steps"]):
        if schedule["name"] == "cosine":
            lr = cosine_lr(step, schedule["lr"], schedule["final_lr"], schedule["warmup"], settings["steps"])
        else:
            lr = schedule["lr"]
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        loss = loss_of(logits_of(model, parameters, inputs), targets, settings["label_smoothing"])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), settings.get("clip") or math.inf)
        optimizer.step()
        steps.append(dict(step=step, lr=lr, loss=loss.item(), grad_norm=norm.item()))
    return steps, parameters


TRAJECTORIES = {
    "adamw": dict(name="adamw", steps=20, label_smoothing=0.1, betas=[0.9, 0.99], eps=1e-8,
                  weight_decay=0.1, clip=0.5,
                  schedule=dict(name="cosine", lr=1e-2, final_lr=1e-3, warmup=5)),
    "sgd": dict(name="sgd", steps=5, label_smoothing=0.1, momentum=0.9,
                schedule=dict(name="constant", lr=1e-2)),
    "adam": dict(name="adam", steps=5, label_smoothing=0.1, betas=[0.9, 0.99], eps=1e-8,
                 weight_decay=0.01, schedule=dict(name="constant", lr=1e-2)),
}


def make_case(name, options):
    model = dict(layers=LAYERS, heads=HEADS, width=WIDTH, context=CONTEXT, **options, vocab=VOCAB)
    inputs, targets = torch.tensor(INPUTS), torch.tensor(TARGETS)
    parameters = make_parameters(model)
    case = dict(name=name, model=model,
                parameters=[dict(name=n, shape=list(p.shape)) for n, p in parameters.items()],
                logits=numbers(logits_of(model, parameters, inputs)), losses=[], trajectories=[])
    for smoothing in (0.0, 0.1):
        loss, gradients = gradients_of(model, parameters, inputs, targets, smoothing)
        case["losses"].append(dict(label_smoothing=smoothing, loss=number(loss.item()),
                                   gradients={n: numbers(g) for n, g in gradients.items()}))
        worst = check_gradients(model, inputs, targets, smoothing)
        print(f"{name}, label smoothing {smoothing}: loss {loss.item():.9g}, "
              f"central differences within {worst:.1e}")
    for kind, settings in TRAJECTORIES.items():
        if kind != "adamw" and name != "nanogpt":
            continue
        steps, final = train(model, inputs, targets, settings)
        case["trajectories"].append(dict(
            optimizer=settings,
            steps=[{k: v if k == "step" else number(v) for k, v in s.items()} for s in steps],
            final_parameters={n: numbers(p) for n, p in final.items()}))
    return case


# ---- JSON -----------------------------------------------------------------------------------------

def number(x):
    """Rounds to nine significant digits; rounding noise around zero becomes zero."""
    return 0.0 if abs(x) < 1e-15 else float(f"{x:.9g}")


def numbers(tensor):
    """A tensor's elements as one flat row-major list."""
    return [number(x) for x in tensor.detach().reshape(-1).tolist()]


def to_json(value, indent=0):
    """Short values and lists of plain values stay on one line; the rest is spread over several lines."""
    short = json.dumps(value)
    plain = not isinstance(value, dict) and not (isinstance(value, list) and value and isinstance(value[0], dict))
    if indent and (plain or len(short) <= 110):
        return short
    inner, outer = "  " * (indent + 1), "  " * indent
    if isinstance(value, dict):
        rows = [f"{json.dumps(k)}: {to_json(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner + row for row in rows) + f"\n{outer}}}"
    return "[\n" + ",\n".join(inner + to_json(v, indent + 1) for v in value) + f"\n{outer}]"


def write_golden(script, contents):
    script = pathlib.Path(script)
    path = script.with_name(script.stem.removeprefix("make_") + ".json")
    version = torch.__version__.split("+")[0]
    head = dict(made_by=f"tests/golden/{script.name}", requires=f"torch=={version}",
                computed_in="float64", layout="every tensor is a flat row-major list")
    path.write_text(to_json(head | contents) + "\n")
    print(f"wrote {path.name}, {path.stat().st_size} bytes")


def main():
    torch.set_num_threads(1)
    write_golden(__file__, dict(
        weights=WEIGHTS,
        layer_norm_eps=EPS,
        ignored_target=IGNORED,
        clipping="factor = min(1, clip / (norm + 1e-6)), norm over all parameters together",
        weight_decay="on parameters with two dimensions only, embeddings among them",
        key_bias="elements width .. 2*width-1 of attention.qkv.bias have no gradient (a constant added to "
                 "all scores of a query cancels in the softmax): in lower precision an optimizer that "
                 "divides by the gradient's size moves them by rounding noise, without effect on the loss",
        inputs=INPUTS, targets=TARGETS,
        cases=[make_case(name, options) for name, options in CASES.items()]))


if __name__ == "__main__":
    main()
