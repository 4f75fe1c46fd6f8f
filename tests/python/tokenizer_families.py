"""Small tokenizers of every family that the runtime reads, trained here, and texts to compare them on."""
import itertools
import json
import pathlib
import random
import sysconfig

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
CASED_SPLIT = (  # as of the larger GPT-4 family: cased words, suffixes attached
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


# --- texts ---


def _read(paths, limit):
    out, total = [], 0
    for path in paths:
        data = path.read_bytes()
        out.append(data)
        total += len(data)
        if total >= limit:
            break
    return b"\n".join(out)[:limit]


def natural_bytes(root):
    """Prose, a manual, C++ and Python: about 4 MB."""
    stdlib = pathlib.Path(sysconfig.get_paths()["stdlib"])
    texts = [(root / "examples/data" / name).read_bytes() for name in ("michael-armstrong.txt", "sbcl-manual.txt")]
    texts.append(_read(sorted(itertools.chain(root.glob("src/**/*.cc"), root.glob("src/**/*.h"))), 600_000))
    texts.append(_read(sorted(stdlib.glob("*.py")), 1_800_000))
    return b"\n".join(texts)


def _random_characters(rng, n):
    """Any code point but surrogates, planes weighted so that letters and marks are frequent."""
    pools = [(0x20, 0x17F), (0x300, 0x36F), (0x370, 0x1FFF), (0x2000, 0x2BFF), (0x2E80, 0xD7FF), (0xE000, 0xFFFF),
             (0x10000, 0x1FFFF), (0x20000, 0x323AF), (0xE0000, 0x10FFFF)]
    return "".join(chr(rng.randint(*rng.choice(pools))) for _ in range(n))


def _combining(rng, n):
    bases = "aeonuASCÅẞ가ᄀあア한"
    marks = "\u0301\u0300\u0323\u0327\u0328\u0345\u0334\u1161\u11a8\u3099\u0591\u0898\u0899\u1abf\U00011930\U00011935"
    return "".join(rng.choice(bases) + "".join(rng.choices(marks, k=rng.randint(0, 6))) for _ in range(n))


def _emoji(rng, n):
    parts = ["👩", "👨", "👧", "\u200d", "\ufe0f", "🏽", "❤", "🇩", "🇪", "😀", "🫠", " ", "#️⃣"]
    return "".join(rng.choices(parts, k=n))


def _cjk(rng, n):
    return "".join(
        rng.choice("，。！？「」\n 　") if rng.random() < 0.1 else chr(rng.choice([rng.randint(0x4E00, 0x9FFF),
                   rng.randint(0x3041, 0x30FF), rng.randint(0xAC00, 0xD7A3)])) for _ in range(n))


def _white_space(rng, n):
    runs = [" ", "\n", "\t", "\r\n", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\u180e", "\v", "\f"]
    return "".join(rng.choice(runs) * rng.randint(1, 40) + rng.choice(["", "x", "1", "."]) for _ in range(n))


def _digits(rng, n):
    return "".join(rng.choice("0123456789٣४५Ⅷ²¼ ,.-xé") for _ in range(n))


def _contractions(rng, n):
    words = ["don't", "I'M", "we'LL", "they've", "it'ſ", "he'd", "rock'n'roll", "’s", "K's", "'re", "x''s", "_'t"]
    return " ".join(rng.choices(words, k=n))


def _broken(rng, n):
    return bytes(rng.choice([rng.randint(0, 255), rng.randint(0x80, 0xF5), rng.randint(0x20, 0x7E)]) for _ in range(n))


def synthetic_items(seed, specials):
    """About 1.7 MB of what breaks tokenizers, as bytes, some of it not UTF-8."""
    rng = random.Random(seed)
    makers = [_random_characters, _combining, _emoji, _cjk, _white_space, _digits, _contractions]
    items = []
    for maker in makers:
        for n in (3, 50, 700, 4000):
            for _ in range(5):
                items.append(maker(rng, n).encode("utf-8"))
    items += [_broken(rng, n) for n in (1, 2, 3, 7, 30, 300, 5000) for _ in range(12)]
    for _ in range(300):  # added tokens among everything
        parts = [rng.choice([*specials, " ", "\n", "a", "word ", "Ġ", "▁", "é", _cjk(rng, 3), _random_characters(rng, 2)])
                 for _ in range(rng.randint(1, 12))]
        items.append("".join(parts).encode("utf-8"))
    items += [text.encode("utf-8") for text in
              ("", " ", "  ", "a", " a", "\n", "\n\n ", "\0", "a\0b", "▁", "▁▁a", "a ▁ b", "\ufeffx", "\U0010ffff",
               "a" * 20000, " " * 20000, "ab" * 9000 + "!", "\u0301" * 3000, "\u0323\u0301" * 2000)]
    return items


def pieces(data, size):
    """data in chunks of about size bytes that end at a line's end."""
    out, at = [], 0
    while at < len(data):
        end = data.find(b"\n", min(at + size, len(data)))
        end = len(data) if end < 0 else end + 1
        out.append(data[at:end])
        at = end
    return out


# --- tokenizers ---


def _train(tokenizer, sample, vocab_size, **options):
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, **options)
    tokenizer.train_from_iterator((chunk.decode("utf-8", "replace") for chunk in pieces(sample, 20_000)), trainer)
    return tokenizer


def _byte_level(sample, split, normalizer=None, prefix_space=False, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.normalizer = normalizer
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space, use_regex=split is None)
    tokenizer.pre_tokenizer = byte_level if split is None else pre_tokenizers.Sequence([*split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    return _train(tokenizer, sample, 3000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def _split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def gpt2(sample):
    tokenizer = _byte_level(sample, None)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def llama3(sample):
    tokenizer = _byte_level(sample, [_split(LLAMA3_SPLIT)], ignore_merges=True)
    # No merge makes this one: only ignore_merges finds it.
    tokenizer = _edit(tokenizer, lambda config: config["model"]["vocab"].update({"Ġremembrance": 3000}))
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                                  "<|eot_id|>"])
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    template = processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="$A $B",
                                             special_tokens=[("<|begin_of_text|>", begin)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def qwen2(sample):
    tokenizer = _byte_level(sample, [_split(QWEN2_SPLIT)], normalizer=normalizers.NFC())
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("café", normalized=True)])
    return tokenizer


def cased(sample):
    """Several splits in a row, digits apart, a prefix space, added tokens with every option."""
    splits = [pre_tokenizers.Split("\n", "merged_with_previous"), _split(CASED_SPLIT),
              pre_tokenizers.Digits(individual_digits=True)]
    tokenizer = _byte_level(sample, splits, prefix_space=True, normalizer=normalizers.NFKC())
    tokenizer.add_special_tokens([AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True)])
    tokenizer.add_tokens([AddedToken("word", single_word=True), AddedToken("    ", normalized=False),
                          AddedToken("  ", normalized=False), AddedToken("ﬁne", normalized=True)])
    return tokenizer


def _byte_fallback(sample, fuse):
    """A vocabulary as sentencepiece makes it: specials, bytes, then pieces with ▁ for spaces."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split(Regex("▁+[^▁\n]*|\n+"), "isolated")
    _train(trained, sample, 3000, limit_alphabet=120)
    model = json.loads(trained.to_str())["model"]
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    names += [token for token in sorted(model["vocab"], key=model["vocab"].get) if token not in names]
    vocab = {token: i for i, token in enumerate(names)}
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=fuse, byte_fallback=True))
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B",
                                                             special_tokens=[("<s>", 1)])
    return tokenizer


def llama2(sample):
    tokenizer = _byte_fallback(sample, fuse=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.add_tokens([AddedToken("word", normalized=True)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    return tokenizer


def mistral(sample):
    tokenizer = _byte_fallback(sample, fuse=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["[INST]", "[/INST]"])
    return tokenizer


def metaspace(sample):
    """No byte fallback: unknown tokens, one for each character."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    return _train(tokenizer, sample, 2000, limit_alphabet=100, special_tokens=["<unk>", "</s>"])


FAMILIES = {family.__name__: family for family in (gpt2, llama3, qwen2, cased, llama2, mistral, metaspace)}


def _edit(tokenizer, change):
    config = json.loads(tokenizer.to_str())
    change(config)
    return Tokenizer.from_str(json.dumps(config))


def saved(tokenizer, string_merges):
    """tokenizer.json; string_merges: with merges in the older format, "a b"."""
    config = json.loads(tokenizer.to_str())
    if string_merges:
        config["model"]["merges"] = [" ".join(merge) for merge in config["model"]["merges"]]
    return json.dumps(config, ensure_ascii=False)
