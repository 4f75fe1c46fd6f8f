"""Our forward pass against transformers: tiny random models of every architecture and rope scaling in fp32, what auto
takes beside bf16, and the default model's loss in bf16."""

import json
import os
import subprocess
from pathlib import Path

import numpy
import pytest
import torch
from model_families import FAMILIES, make
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
TOOL = os.environ.get("TCA_LOGITS", str(ROOT / "build/release/tests/tca_logits"))
PROMPT = 201  # past the original context of every scaled rope, and no multiple of anything
GREEDY = 64


def run_tool(model, compute, ids, tmp_path, *mode):
    ids_file = tmp_path / "ids.txt"
    ids_file.write_text(" ".join(map(str, ids)))
    done = subprocess.run([TOOL, model, compute, ids_file, *map(str, mode)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def greedy(model, ids, count):
    """Tokens with the largest logits, one after the other, by the model's own cache."""
    found, past, tokens = [], None, torch.tensor([ids])
    for _ in range(count):
        output = model(tokens, past_key_values=past, use_cache=True)
        past, tokens = output.past_key_values, output.logits[:, -1:].argmax(-1)
        found.append(tokens.item())
    return found


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_fp32_logits_and_greedy_tokens_are_those_of_transformers(name, tmp_path):
    torch.set_num_threads(1)  # more only get in each other's way at this size
    model = make(name, tmp_path / "model")
    if name.endswith("sharded"):
        assert (tmp_path / "model/model.safetensors.index.json").exists()
    ids = torch.randint(3, 509, (PROMPT,), generator=torch.Generator().manual_seed(7)).tolist()
    expected = model(torch.tensor([ids])).logits[0].numpy()
    assert expected.std() > 0.5, "logits this flat would hide a mistake"

    run_tool(tmp_path / "model", "fp32", ids, tmp_path, "logits", tmp_path / "logits.bin")
    actual = numpy.fromfile(tmp_path / "logits.bin", dtype=numpy.float32).reshape(PROMPT, -1)
    assert actual.shape == expected.shape
    assert numpy.abs(actual - expected).max() <= 2e-3

    printed = run_tool(tmp_path / "model", "fp32", ids, tmp_path, "greedy", GREEDY)
    assert json.loads(printed)["ids"] == greedy(model, ids, GREEDY)


@torch.no_grad()
def test_auto_is_as_near_to_fp32_as_bf16_is_and_nearer_where_it_takes_fp32_products(tmp_path):
    torch.set_num_threads(1)
    for name in list(FAMILIES)[:3]:
        path = tmp_path / name
        model = make(name, path)
        ids = torch.randint(3, 509, (PROMPT,), generator=torch.Generator().manual_seed(7)).tolist()
        expected = model(torch.tensor([ids])).logits[0].numpy()

        def error(compute):
            run_tool(path, compute, ids, tmp_path, "logits", tmp_path / "logits.bin")
            logits = numpy.fromfile(tmp_path / "logits.bin", dtype=numpy.float32).reshape(PROMPT, -1)
            return float(numpy.sqrt(numpy.mean((logits - expected) ** 2)))

        bf16, auto = error("bf16"), error("auto")
        # Where bf16 products have instructions auto is bf16, bit for bit. Where not, weights and activations keep fp32
        # and what is rounded, queries, keys and values, is three of some ten roundings a layer.
        assert auto == bf16 or auto < 0.8 * bf16, f"{name}: {auto} of auto, {bf16} of bf16"


@torch.no_grad()
def test_the_default_models_bf16_loss_is_that_of_transformers(tmp_path):
    path = ROOT / "models/lookback-28m"
    text = (ROOT / "examples/data/michael-armstrong.txt").read_text(encoding="utf-8")
    ids = Tokenizer.from_file(str(path / "tokenizer.json")).encode(text[:60000]).ids[:8192]
    assert len(ids) == 8192

    torch.set_num_threads(os.cpu_count())
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16, attn_implementation="sdpa")
    logits = model(torch.tensor([ids])).logits[0]
    expected = torch.nn.functional.cross_entropy(logits[:-1].float(), torch.tensor(ids[1:])).item()

    actual = json.loads(run_tool(path, "bf16", ids, tmp_path, "nll"))
    assert actual["tokens"] == 8191
    assert abs(actual["nll"] - expected) <= 0.002
