"""Checkpoints that are odd in the ways of real ones, read as transformers reads them: which copy of a tensor counts, what
of a configuration is used, how long contexts may be, which added tokens there are."""

import json
import shutil

import numpy
import pytest
import tokenizer_tool
import torch
from model_families import make
from safetensors.torch import load_file, save_file
from test_model_logits import run_tool
from tokenizers import AddedToken, Tokenizer, models
from transformers import AutoModelForCausalLM, AutoTokenizer

IDS = torch.randint(3, 509, (60,), generator=torch.Generator().manual_seed(7)).tolist()
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"


@torch.no_grad()
def expected_logits(folder, ids=IDS):
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model(torch.tensor([ids])).logits[0].numpy()


def assert_read_as_transformers_does(folder, tmp_path, expected=None, ids=IDS):
    expected = expected_logits(folder, ids) if expected is None else expected
    run_tool(folder, "fp32", ids, tmp_path, "logits", tmp_path / "logits.bin")
    actual = numpy.fromfile(tmp_path / "logits.bin", dtype=numpy.float32).reshape(len(ids), -1)
    assert numpy.abs(actual - expected).max() <= 2e-3


def change(folder, **fields):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({key: value for key, value in config.items() if value != "removed"}))


@pytest.fixture(scope="module")
def models_made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name in ("llama2", "llama3-sharded", "qwen2"):
        make(name, folder / name)
    return folder


@pytest.fixture
def model(models_made, tmp_path):
    """A copy of a model that the test may change."""
    return lambda name: shutil.copytree(models_made / name, tmp_path / "model")


@pytest.mark.parametrize("says_tied", [False, True])
@pytest.mark.parametrize("stored", [(EMBEDDING, HEAD), (EMBEDDING,), (HEAD,)])
def test_stored_embeddings_decide_not_the_tie_flag(model, tmp_path, stored, says_tied):
    folder = model("llama2")
    file = folder / "model.safetensors"
    weights = load_file(file)
    assert not torch.equal(weights[HEAD], weights[EMBEDDING])
    save_file({k: v for k, v in weights.items() if k in stored or k not in (EMBEDDING, HEAD)}, file, {"format": "pt"})
    # Alone and not called tied, transformers would draw the missing one at random; here it serves both.
    change(folder, tie_word_embeddings=says_tied or len(stored) == 1)
    expected = expected_logits(folder)
    change(folder, tie_word_embeddings=says_tied)
    assert_read_as_transformers_does(folder, tmp_path, expected)


def test_a_base_models_names(model, tmp_path):
    folder = model("llama2")
    file = folder / "model.safetensors"
    save_file({k.removeprefix("model."): v for k, v in load_file(file).items()}, file, {"format": "pt"})
    assert_read_as_transformers_does(folder, tmp_path)


def test_copies_of_a_tensor_in_several_shards(model, tmp_path):
    folder = model("llama3-sharded")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    name = "model.norm.weight"
    own = index["weight_map"][name]
    shards = sorted(set(index["weight_map"].values()))
    original = expected_logits(folder)
    differ = []
    for shard in (shards[0], shards[-1]):
        assert shard != own
        weights = load_file(folder / shard)
        save_file(weights | {name: -load_file(folder / own)[name]}, folder / shard, {"format": "pt"})
        expected = expected_logits(folder)
        differ.append(numpy.abs(expected - original).max() > 0.1)
        assert_read_as_transformers_does(folder, tmp_path, expected)
        save_file(weights, folder / shard, {"format": "pt"})
    assert differ == [False, True], "one copy is superseded, the other supersedes"


@pytest.mark.parametrize("named_in", [None, "first"])
def test_an_index_that_is_wrong_about_a_tensor(model, tmp_path, named_in):
    folder = model("llama3-sharded")
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    own = index["weight_map"].pop("model.norm.weight")
    if named_in:
        index["weight_map"]["model.norm.weight"] = min(index["weight_map"].values())
        assert index["weight_map"]["model.norm.weight"] != own
    index["metadata"]["loss"] = float("nan")
    path.write_text(json.dumps(index))
    assert_read_as_transformers_does(folder, tmp_path)


UNUSED = {
    "python's numbers": dict(loss=float("nan"), best=[float("inf"), -float("inf")]),
    "no beginning": dict(bos_token_id=-1),
    "ends beyond the vocabulary": dict(eos_token_id=[2, -1, 99999]),
    "another type": dict(dtype="float8_e4m3fn"),
    "other models' fields": dict(max_window_layers="x", use_sliding_window=3, partial_rotary_factor=0.5),
    "nothing for scaling": dict(rope_scaling=[]),
    "theta beside": dict(rope_parameters="removed", rope_theta=500000.0),
}


@pytest.mark.parametrize("fields", UNUSED.values(), ids=UNUSED)
def test_fields_that_are_not_used(model, tmp_path, fields):
    folder = model("llama2")
    change(folder, **fields)
    assert_read_as_transformers_does(folder, tmp_path)


def test_of_two_equal_keys_the_last_counts(model, tmp_path):
    folder = model("llama2")
    path = folder / "config.json"
    path.write_text(path.read_text().replace("{", '{"rms_norm_eps": 0.9,', 1))
    assert_read_as_transformers_does(folder, tmp_path)


@pytest.mark.parametrize("broken", ["{", '{"eos_token_id": "two"}'])
def test_a_broken_generation_config(model, tmp_path, broken):
    folder = model("qwen2")
    change(folder, attention_bias="x", mlp_bias="x", use_sliding_window=False)
    (folder / "generation_config.json").write_text(broken)
    assert_read_as_transformers_does(folder, tmp_path)


@pytest.mark.parametrize("style", ["rope_scaling", "rope_parameters"])
def test_yarn_reaches_beyond_max_position_embeddings(model, tmp_path, style):
    folder = model("qwen2")
    yarn = dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=32)
    if style == "rope_parameters":
        yarn["rope_theta"] = 10000.0
    change(folder, max_position_embeddings=32, rope_parameters="removed", rope_theta=10000.0)
    change(folder, **{style: yarn})
    ids = (IDS * 5)[:256]  # 32 x 8
    assert_read_as_transformers_does(folder, tmp_path, ids=ids)
    with pytest.raises(AssertionError, match="at most 256 are allowed"):
        run_tool(folder, "fp32", ids + [5], tmp_path, "logits", tmp_path / "logits.bin")


def token(content, **flags):
    return dict(content=content, lstrip=False, rstrip=False, normalized=False, single_word=False, special=True) | flags


DECLARED = {
    "new": dict(added_tokens_decoder={"18": token("<new>")}),
    "two": dict(added_tokens_decoder={"18": token("<new>"), "19": token("<gap>", special=False, lstrip=True)}),
    "flags": dict(added_tokens_decoder={"17": token("<soft>"), "16": token("<s>", special=False)}),
    "of the vocabulary": dict(added_tokens_decoder={"15": token("<tool>")}),
    "under another id": dict(added_tokens_decoder={"3": token("<tool>"), "40": token("<soft>")}),
    "few flags": dict(added_tokens_decoder={"18": {"content": "<new>"}}),
    "named": dict(added_tokens_decoder={"18": {"content": "<new>", "special": False}}, eos_token="<new>"),
    "older file": dict(eos_token="<new>"),
    "newer beside older": dict(added_tokens_decoder={}),
}


@pytest.mark.parametrize("name", DECLARED)
def test_added_tokens_beside_tokenizer_json(tmp_path, name):
    vocabulary = {character: i for i, character in enumerate("abcdefghij<>|x ")} | {"<tool>": 15}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens([AddedToken("<s>", special=True)])
    tokenizer.add_tokens([AddedToken("<soft>", normalized=False)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": float("inf")} | DECLARED[name]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    if "older" in name:
        (tmp_path / "added_tokens.json").write_text('{"<new>": 18, "<gap>": 19}')

    text = "a<s>b<soft>c<new>d<tool>e <gap>f"
    ours, = tokenizer_tool.encode(tmp_path, [text.encode()])
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert ours == theirs.encode(text, add_special_tokens=False)
    shown, = tokenizer_tool.decode(tmp_path, [ours])
    assert shown == theirs.backend_tokenizer.decode(ours, skip_special_tokens=True)
