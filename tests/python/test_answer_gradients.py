"""Gradients of answers' margins at the heads' outputs against PyTorch's autograd: tiny random models of every
architecture and rope scaling."""

import json
import os
import subprocess
from pathlib import Path

import numpy
import pytest
import torch
from model_families import FAMILIES, WITHOUT_GRADIENTS, head_order, make
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

ROOT = Path(__file__).resolve().parents[2]
TOOL = os.environ.get("TCA_GRADIENTS", str(ROOT / "build/release/tests/tca_gradients"))
DOCUMENT = 270  # more than a tile of keys
# Rows of the questions and which of them have a target: more than a tile of keys and several blocks of rows; a few
# rows, of which the last ask for nothing; a single one.
QUESTIONS = [(262, range(200, 262)), (9, [2, 3, 6]), (1, [0])]
SEEN = {}  # layer: query and key states


def capture(module, query, key, value, attention_mask, **options):
    SEEN[module.layer_idx] = (query, key, value)
    return sdpa_attention_forward(module, query, key, value, attention_mask, **options)


AttentionInterface.register("capture", capture)


def make_input():
    random = torch.Generator().manual_seed(11)
    ids = lambda n: torch.randint(3, 509, (n,), generator=random).tolist()  # noqa: E731
    document, questions = ids(DOCUMENT), []
    for rows, asked in QUESTIONS:
        targets = ids(rows)
        questions.append({"ids": ids(rows), "targets": [t if i in asked else -1 for i, t in enumerate(targets)]})
    return {"document": document, "questions": questions}


def expected_of(model, document, question):
    """What the tool writes, by PyTorch, for one question: name -> [layers][rows, heads, d]."""
    raw, outputs, layers = {}, {}, model.model.layers
    hooks = []
    for index, layer in enumerate(layers):
        attention = layer.self_attn

        def keep_raw(_, __, output, index=index):
            raw[index] = output.detach()[..., : model.config.num_attention_heads * attention.head_dim]

        def keep_output(_, inputs, index=index):
            inputs[0].retain_grad()
            outputs[index] = inputs[0]

        names = [name for name in ("q_norm", "q_proj", "qkv_proj") if hasattr(attention, name)]
        hooks.append(getattr(attention, names[0]).register_forward_hook(keep_raw))
        hooks.append(attention.o_proj.register_forward_pre_hook(keep_output))
    logits = model(torch.tensor([document + question["ids"]])).logits[0, len(document) :]
    for hook in hooks:
        hook.remove()
    margins, total = [], torch.zeros((), dtype=torch.float64)
    for row, target in zip(logits.double(), question["targets"]):
        if target < 0:
            margins.append(0.0)
            continue
        others = row.clone()
        others[target] = -torch.inf
        margin = row[target] - torch.logsumexp(others, 0)
        margins.append(margin.item())
        total = total + margin
    total.backward()

    config, rows, found = model.config, len(question["ids"]), {"margins": numpy.array(margins)}
    heads, dim = config.num_attention_heads, layers[0].self_attn.head_dim
    for index in range(len(layers)):
        query, key, value = (states[0].detach().transpose(0, 1) for states in SEEN[index])
        # Queries are scaled so that scores are products by 1 / sqrt(d), whatever the model's scale is.
        scale = layers[index].self_attn.scaling * dim**0.5
        order = head_order(config)
        query, key = (query * scale)[..., order], key[..., order]
        scores = torch.einsum("rhd,thd->rht", query, key.repeat_interleave(heads // key.shape[1], 1)) / dim**0.5
        seen = torch.arange(scores.shape[0])[:, None] >= torch.arange(scores.shape[0])
        lse = torch.logsumexp(scores.masked_fill(~seen[:, None], -torch.inf), -1)
        of_layer = {
            "raw": raw[index].reshape(-1, heads, dim)[..., order] * scale,
            "q": query,
            "k": key,
            "v": value,
            "lse": lse,
            "gradient": outputs[index].grad[0].reshape(-1, heads, dim),
        }
        for name, tensor in of_layer.items():
            found.setdefault(name, []).append(tensor[-rows:].numpy())
    return found


def read_output(path, model, rows):
    config, dim = model.config, model.model.layers[0].self_attn.head_dim
    heads, kv_heads, layers = config.num_attention_heads, config.num_key_value_heads, config.num_hidden_layers
    with open(path, "rb") as file:
        found = {"margins": numpy.fromfile(file, numpy.float64, rows)}

        def take(*shape):
            return numpy.fromfile(file, numpy.float32, int(numpy.prod(shape))).reshape(shape)

        found["raw"] = [take(rows, heads, dim) for _ in range(layers)]
        shapes = {
            "q": (rows, heads, dim),
            "k": (rows, kv_heads, dim),
            "v": (rows, kv_heads, dim),
            "lse": (rows, heads),
            "gradient": (rows, heads, dim),
        }
        for _ in range(layers):
            for name, shape in shapes.items():
                found.setdefault(name, []).insert(0, take(*shape))
        assert not file.read(1)
    return found


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in WITHOUT_GRADIENTS])
def test_gradients_are_those_of_autograd(name, tmp_path):
    torch.set_num_threads(1)  # more only get in each other's way at this size
    model = make(name, tmp_path / "model")
    model.set_attn_implementation("capture")
    asked = make_input()
    (tmp_path / "input.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [TOOL, tmp_path / "model", tmp_path / "input.json", tmp_path / "output"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = read_output(tmp_path / "output", model, sum(rows for rows, _ in QUESTIONS))

    first = 0
    for question in asked["questions"]:
        end = first + len(question["ids"])
        expected = expected_of(model, asked["document"], question)
        assert numpy.abs(found["margins"][first:end] - expected["margins"]).max() <= 1e-3
        for part in ("raw", "q", "k", "v", "lse", "gradient"):
            for layer, (ours, theirs) in enumerate(zip(found[part], expected[part])):
                scale = numpy.abs(theirs).max()
                assert scale > 1e-3, f"{part} of layer {layer} is too small to compare"
                error = numpy.abs(ours[first:end] - theirs).max() / scale
                assert error <= 1e-3, f"{part} of layer {layer}, rows from {first}: {error}"
        first = end
