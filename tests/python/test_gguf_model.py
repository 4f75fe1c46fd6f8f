"""Models from GGUF files: the logits of the checkpoint that holds the same values, and of transformers."""
import json

import numpy
import pytest
import torch

import gguf_files
import model_families
from test_model_logits import greedy, run_tool

IDS = 96
# name: family of model_families with extents that large blocks divide, the types of its matrices in turn
CASES = {
    "llama-blocks": (model_families.llama, {}, gguf_files.BLOCK_TYPES),
    "llama-plain": (model_families.llama, dict(attention_bias=True, mlp_bias=True), gguf_files.PLAIN_TYPES),
    "llama-llama3": (
        model_families.llama,
        dict(rope_parameters=model_families.scaled("llama3", factor=8.0, **model_families.LLAMA31)),
        ["Q8_0", "Q6_K"],
    ),
    "llama-llama3.2": (
        model_families.llama,
        dict(
            tie_word_embeddings=True,
            rope_parameters=model_families.scaled(
                "llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192
            )
            | {"rope_theta": 500000.0},
        ),
        ["Q4_K", "Q6_K"],
    ),
    "llama-linear": (
        model_families.llama,
        dict(rope_parameters=model_families.scaled("linear", factor=4.0)),
        ["Q5_K"],
    ),
    "qwen2-blocks": (model_families.qwen2, dict(num_attention_heads=4), gguf_files.BLOCK_TYPES),
    "qwen2-yarn": (
        model_families.qwen2,
        dict(
            num_attention_heads=4,
            rope_parameters=model_families.scaled("yarn", factor=8.0, original_max_position_embeddings=64),
        ),
        ["Q4_0"],
    ),
    "qwen3-blocks": (model_families.qwen3, dict(tie_word_embeddings=True), gguf_files.BLOCK_TYPES[::-1]),
}


def make(name, path, split=0):
    family, options, types = CASES[name]
    kind, config = family(**(dict(hidden_size=256, intermediate_size=512) | options))
    torch.manual_seed(sum(map(ord, name)))
    model = kind(config).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "norm" in parameter_name:
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_((0.3 if "bias" in parameter_name else 0.08) * torch.randn_like(parameter))
        gguf_files.write_model(model, path, types, numpy.random.default_rng(len(name)), split)
    return model


def logits(path, ids, tmp_path, compute="fp32"):
    run_tool(path, compute, ids, tmp_path, "logits", tmp_path / "logits.bin")
    return numpy.fromfile(tmp_path / "logits.bin", dtype=numpy.float32).reshape(len(ids), -1)


def some_ids():
    return torch.randint(3, 509, (IDS,), generator=torch.Generator().manual_seed(7)).tolist()


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_logits_are_those_of_the_checkpoint_and_of_transformers(name, tmp_path):
    torch.set_num_threads(1)
    model = make(name, tmp_path / "model.gguf")
    model.save_pretrained(tmp_path / "checkpoint")
    ids = some_ids()
    expected = model(torch.tensor([ids])).logits[0].numpy()
    assert expected.std() > 0.5, "logits this flat would hide a mistake"
    actual = logits(tmp_path / "model.gguf", ids, tmp_path)
    assert actual.shape == expected.shape
    assert numpy.abs(actual - expected).max() <= 1e-3
    checkpoint = logits(tmp_path / "checkpoint", ids, tmp_path)
    if name == "llama-llama3":  # its factors are stored in fp32
        assert numpy.abs(actual - checkpoint).max() <= 1e-4
    else:
        assert numpy.array_equal(actual, checkpoint)
    printed = run_tool(tmp_path / "model.gguf", "fp32", ids, tmp_path, "greedy", 16)
    assert json.loads(printed)["ids"] == greedy(model, ids, 16)


@torch.no_grad()
def test_parts_and_folders_are_the_same_model(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    make("llama-blocks", whole / "model.gguf")
    make("llama-blocks", parts / "model.gguf", split=7)
    files = sorted(parts.glob("*.gguf"))
    assert len(files) > 2 and files[0].name == f"model-00001-of-{len(files):05}.gguf"
    ids = some_ids()
    expected = logits(whole / "model.gguf", ids, tmp_path)
    for path in (whole, parts, files[0], files[1]):
        assert numpy.array_equal(logits(path, ids, tmp_path), expected)


@torch.no_grad()
def test_bf16_is_near(tmp_path):
    make("qwen3-blocks", tmp_path / "model.gguf")
    ids = some_ids()
    expected = logits(tmp_path / "model.gguf", ids, tmp_path)
    for compute in ("bf16", "auto"):
        actual = logits(tmp_path / "model.gguf", ids, tmp_path, compute)
        assert 0 < numpy.sqrt(numpy.mean((actual - expected) ** 2)) < 0.05 * expected.std()
