"""The C++ tokenizer against the tokenizers package: the same ids and the same text, family by family."""
import random
import time

import pytest
from tokenizers import Tokenizer

import tokenizer_families as families
import tokenizer_tool as tool

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<s>", "</s>", "<unk>",
            "[INST]", "<tool_call>", "café", "cafe\u0301", "<left>", "<right>", "word", "   ", "ﬁne", "fine"]


@pytest.fixture(scope="module")
def natural():
    return families.natural_bytes(tool.ROOT)


@pytest.fixture(scope="module")
def documents(natural):
    """At least 5 MB: prose, manual and code in pieces of many sizes, then synthetic text."""
    items = families.synthetic_items(7, SPECIALS)
    rng = random.Random(3)
    at = 0
    while at < len(natural):
        size = rng.choice([40, 400, 2000, 2000, 6000])
        items.append(natural[at : at + size])  # cuts inside characters, too
        at += size
    assert sum(map(len, items)) >= 5_000_000
    return items


@pytest.fixture(scope="module", params=families.FAMILIES)
def family(request, natural, tmp_path_factory):
    """(folder, tokenizer) of one family."""
    sample = natural[:250_000] + natural[-250_000:]
    tokenizer = families.FAMILIES[request.param](sample)
    folder = tmp_path_factory.mktemp(request.param)
    string_merges = request.param in ("gpt2", "llama2")
    (folder / "tokenizer.json").write_text(families.saved(tokenizer, string_merges), encoding="utf-8")
    return folder, Tokenizer.from_file(str(folder / "tokenizer.json"))


def as_text(item):
    return item.decode("utf-8", errors="replace")


def assert_same(items, expected, actual):
    assert len(expected) == len(actual)
    for item, want, got in zip(items, expected, actual):
        if want != got:
            at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
            pytest.fail(f"differs at {at}: {want[at - 2 : at + 6]} != {got[at - 2 : at + 6]} for {item[:200]!r}")


def test_ids_and_text_are_equal(family, documents):
    folder, tokenizer = family
    if folder.name.startswith(("cased", "metaspace")):  # variations; the five families of models get everything
        documents = documents[::2]
    expected = [e.ids for e in tokenizer.encode_batch_fast([as_text(d) for d in documents], add_special_tokens=False)]
    actual = tool.encode(folder, documents)
    assert_same(documents, expected, actual)

    assert_same(documents, tokenizer.decode_batch(actual, skip_special_tokens=False),
                tool.decode(folder, actual, "decode_special"))
    assert_same(documents, tokenizer.decode_batch(actual), tool.decode(folder, actual))


def test_special_tokens_around_and_inside(family, documents):
    folder, tokenizer = family
    some = documents[:900:3]
    with_special = [e.ids for e in tokenizer.encode_batch_fast([as_text(d) for d in some])]
    assert_same(some, with_special, tool.encode(folder, some, "encode_special"))

    tokenizer.encode_special_tokens = True  # the package's name for special tokens that stay text
    plain = [e.ids for e in tokenizer.encode_batch_fast([as_text(d) for d in some], add_special_tokens=False)]
    tokenizer.encode_special_tokens = False
    assert_same(some, plain, tool.encode(folder, some, "plain"))


def test_any_ids_decode_to_the_same_text(family):
    """Ids that no text encodes to: broken characters, spaces anywhere, byte tokens in the middle."""
    folder, tokenizer = family
    rng = random.Random(11)
    size = tokenizer.get_vocab_size()
    sequences = [[rng.randrange(size) for _ in range(rng.randint(0, 12))] for _ in range(3000)]
    sequences += [[rng.randrange(min(size, 262)) for _ in range(rng.randint(1, 30))] for _ in range(3000)]
    sequences += [[size + 5, 3, -1, 4]]
    readable = [[i for i in ids if i >= 0] for ids in sequences]  # the package takes no negative ids
    assert_same(sequences, tokenizer.decode_batch(readable), tool.decode(folder, sequences))


def test_default_model_is_equal_and_fast(natural):
    folder = tool.ROOT / "models/lookback-28m"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    novel = (tool.ROOT / "examples/data/michael-armstrong.txt").read_bytes()
    start = time.monotonic()
    (ids,) = tool.encode(folder, [novel], "encode_special")
    seconds = time.monotonic() - start
    assert ids == tokenizer.encode(as_text(novel)).ids
    assert tool.decode(folder, [ids]) == [as_text(novel)]
    assert seconds < 2, "1.15 MB take about 0.2 s of one processor, starting the program and reading its files included"


@pytest.mark.parametrize("text", [b" " * 3_000_000 + b"x", b"a" * 1_000_000, "é\u0301".encode() * 300_000,
                                  b"\n \t" * 500_000, b"\xff" * 1_000_000, b"<|im_start|" * 100_000, b"'" * 1_000_000],
                         ids=["spaces", "letters", "marks", "mixed-space", "broken", "almost-special", "quotes"])
def test_hostile_text_takes_linear_time(family, text):
    folder, _ = family
    start = time.monotonic()
    (ids,) = tool.encode(folder, [text])
    assert ids
    assert time.monotonic() - start < 20, "a quadratic step would take minutes"
