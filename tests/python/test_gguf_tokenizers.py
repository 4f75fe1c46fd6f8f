"""Tokenizers in GGUF metadata: byte-level ones against the tokenizers package, those with scores against their
definition."""
import json
import random

import gguf
import pytest
from tokenizers import Regex, Tokenizer, pre_tokenizers

import tokenizer_families as families
import tokenizer_tool as tool

NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6
SPECIALS = ["<|begin_of_text|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "   ", "word"]


def writer(path):
    made = gguf.GGUFWriter(path, "llama")
    made.add_bos_token_id(1)
    made.add_eos_token_id(2)
    return made


def close(made):
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()


@pytest.fixture(scope="module")
def natural():
    return families.natural_bytes(tool.ROOT)


@pytest.fixture(scope="module")
def documents(natural):
    items = families.synthetic_items(7, SPECIALS)[::2]
    return items + [natural[at : at + 2000] for at in range(0, len(natural), 10_000)]


def as_texts(items):
    return [item.decode("utf-8", errors="replace") for item in items]


# --- byte-level ---


def splits(*patterns):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns] + [byte_level]
    )


GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TEKKEN_SPLIT = families.CASED_SPLIT.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")
# The name in the file: a family's tokenizer, and how it cuts text; None: as the family does.
PRE_TOKENIZERS = {
    "gpt-2": (families.gpt2, None),
    "llama-bpe": (families.llama3, None),
    "dbrx": (families.gpt2, splits(families.LLAMA3_SPLIT)),
    "qwen2": (families.qwen2, None),
    "tekken": (families.gpt2, splits(TEKKEN_SPLIT)),
    "smollm": (
        families.gpt2,
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        ),
    ),
    "deepseek-coder": (
        families.gpt2,
        splits("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"),
    ),
    "default": (families.gpt2, splits(r"[\p{P}\$\+<=>\^~\|]+", GPT2_SPLIT, r"\p{N}+", "[0-9][0-9][0-9]")),
}


def write_byte_level(tokenizer, pre, path):
    config = json.loads(tokenizer.to_str())
    tokens = dict(config["model"]["vocab"])
    types = dict.fromkeys(tokens, NORMAL)
    for token in config["added_tokens"]:
        tokens[token["content"]] = token["id"]
        types[token["content"]] = CONTROL if token["special"] else USER
    names = sorted(tokens, key=tokens.get)
    assert [tokens[name] for name in names] == list(range(len(names)))
    made = writer(path)
    made.add_tokenizer_model("gpt2")
    made.add_tokenizer_pre(pre)
    made.add_token_list(names)
    made.add_token_types([types[name] for name in names])
    made.add_token_merges([" ".join(merge) for merge in config["model"]["merges"]])
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    if begin is not None:
        made.add_uint32("tokenizer.ggml.eot_token_id", tokenizer.token_to_id("<|eot_id|>"))
        del made.kv_data[0]["tokenizer.ggml.bos_token_id"]
        made.add_bos_token_id(begin)
    else:
        made.add_add_bos_token(False)
    close(made)


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_byte_level_ids_and_text_are_those_of_the_package(pre, natural, documents, tmp_path):
    family, split = PRE_TOKENIZERS[pre]
    tokenizer = family(natural[:250_000] + natural[-250_000:])
    if split is not None:
        tokenizer.pre_tokenizer = split
    config = json.loads(tokenizer.to_str())
    for token in config["added_tokens"]:  # files know no other flags
        token["normalized"] = False
    if pre == "tekken":
        config["model"]["ignore_merges"] = True
    tokenizer = Tokenizer.from_str(json.dumps(config))
    path = tmp_path / "model.gguf"
    write_byte_level(tokenizer, pre, path)
    added = pre != "tekken"  # it puts a token at the front unless the file says otherwise, which this one does
    expected = [encoding.ids for encoding in tokenizer.encode_batch(as_texts(documents), add_special_tokens=added)]
    assert tool.encode(path, documents, "encode_special") == expected
    assert tool.decode(path, expected[:200]) == [tokenizer.decode(ids) for ids in expected[:200]]


def test_an_unknown_pre_tokenizer_is_refused_by_name(natural, tmp_path):
    tokenizer = families.gpt2(natural[:100_000])
    write_byte_level(tokenizer, "other", tmp_path / "model.gguf")
    with pytest.raises(tool.ToolError, match='tokenizer.ggml.pre is "other"; supported: gpt-2, '):
        tool.encode(tmp_path / "model.gguf", [b"x"])


# --- by scores ---


def scored_vocabulary(natural):
    """Pieces of a trained vocabulary with scores, some of them equal."""
    model = json.loads(families.llama2(natural[:250_000]).to_str())["model"]
    names = sorted(model["vocab"], key=model["vocab"].get)
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * (len(names) - 259)
    ranks = {}
    for rank, (left, right) in enumerate(model["merges"]):
        ranks.setdefault(left + right, rank)
    rng = random.Random(1)
    scores = [-float(ranks.get(name, 1e6) // rng.choice([1, 50])) for name in names]
    names += ["<tool>", "  ", "\t\t\t"]
    assert len(set(names)) == len(names)
    types += [CONTROL, USER, USER]
    scores += [-1000.0] * 3
    return names, types, scores


class ByScores:
    """The definition: of two neighbours that make a piece those go first that make the one with the highest score."""

    def __init__(self, names, types, scores, prefix):
        self.ids = {name: i for i, name in enumerate(names)}
        self.scores = {name: score for name, kind, score in zip(names, types, scores) if kind == NORMAL}
        self.whole = sorted((n for n, kind in zip(names, types) if kind in (UNKNOWN, CONTROL, USER)), key=len)[::-1]
        self.prefix = prefix

    def encode(self, text):
        ids, begin, at = [1], 0, 0
        while at < len(text):
            found = next((name for name in self.whole if text.startswith(name, at)), None)
            if found is None:
                at += 1
                continue
            ids += self.stretch(text[begin:at]) + [self.ids[found]]
            begin = at = at + len(found)
        return ids + self.stretch(text[begin:])

    def stretch(self, text):
        if not text:
            return []
        symbols = list((self.prefix + text).replace(" ", "▁"))
        while True:
            best, place = None, None
            for i in range(len(symbols) - 1):
                score = self.scores.get(symbols[i] + symbols[i + 1])
                if score is not None and (best is None or score > best):
                    best, place = score, i
            if place is None:
                break
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
        ids = []
        for symbol in symbols:
            known = symbol in self.scores
            ids += [self.ids[symbol]] if known else [3 + byte for byte in symbol.encode()]
        return ids


@pytest.mark.parametrize("prefix", [" ", ""])
def test_ids_by_scores_are_those_of_the_definition(prefix, natural, documents, tmp_path):
    names, types, scores = scored_vocabulary(natural)
    made = writer(tmp_path / "model.gguf")
    made.add_tokenizer_model("llama")
    made.add_token_list(names)
    made.add_token_types(types)
    made.add_token_scores(scores)
    made.add_unk_token_id(0)
    if not prefix:
        made.add_add_space_prefix(False)
    close(made)
    reference = ByScores(names, types, scores, prefix)
    texts = [text[:70] for text in as_texts(documents)][::2] + ["<s>a</s> b<tool>c", "a  b\t\t\t\tc", "aa" * 60, " " * 50]
    assert len(texts) > 300
    actual = tool.encode(tmp_path / "model.gguf", [text.encode() for text in texts], "encode_special")
    for text, ids in zip(texts, actual):
        assert ids == reference.encode(text), text
    plain = [text for text in texts if "▁" not in text and not any(name in text for name in reference.whole)]
    ids = tool.encode(tmp_path / "model.gguf", [text.encode() for text in plain], "encode_special")
    assert tool.decode(tmp_path / "model.gguf", ids) == plain
