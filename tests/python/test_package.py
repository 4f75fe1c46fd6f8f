"""The Python package: operations against PyTorch, the engine against the program, misuse."""
import json
import random
import subprocess
import sys
import threading

import numpy
import pytest
import torch

from cli_program import MODEL, PACKAGE, tca as program

sys.path.insert(0, PACKAGE)
import tca  # noqa: E402

DOCUMENT = " ".join(f"Shelf {i} holds {i * 37 % 101} books." for i in range(400))


def qkv(tokens, heads=4, kv_heads=2, dim=64, seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    return [torch.randn(tokens, n, dim).to(dtype) for n in (heads, kv_heads, kv_heads)]


def sdpa(q, k, v):
    """Causal attention of the last len(q) queries, in double."""
    group = q.shape[1] // k.shape[1]
    q, k, v = (t.double().transpose(0, 1) for t in (q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)))
    tokens, queries = k.shape[1], q.shape[1]
    mask = torch.arange(tokens) <= torch.arange(tokens - queries, tokens)[:, None]
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(0, 1)


def token_rule(**fields):
    return tca.SelectionRule(order=tca.BlockOrder.TOKENS, pool_width=1, **fields)


def shares(keep, heads=2):
    return [tca.BlockShares([1 - keep, 0, 0, 0, 0, 0, 0, keep]) for _ in range(heads)]


# ---- operations


# Sums of 300 products in fp32; bf16 rounds inputs of the value product to 8 bits, and outputs are means of values near 1.
@pytest.mark.parametrize("dtype, bound", [(torch.float32, 1e-5), (torch.bfloat16, 2.0**-6), (torch.float16, 2.0**-9)])
def test_dense_attention_is_sdpa(dtype, bound):
    q, k, v = qkv(300, dtype=dtype)
    out = tca.dense_attention(q, k, v)
    assert out.dtype == dtype and out.shape == q.shape
    assert (out.double() - sdpa(q, k, v)).abs().max() < bound
    assert (tca.dense_attention(q[-7:], k, v).double() - sdpa(q[-7:], k, v)).abs().max() < bound


def test_keeping_everything_is_dense():
    q, k, v = qkv(200)
    kept = tca.select(q[-32:], k, shares=shares(1), rule=token_rule())
    assert [len(kept.head(h)) for h in range(2)] == [200, 200]
    assert torch.equal(tca.prefill_attention(q, k, v, kept=kept), tca.dense_attention(q, k, v))


def test_numpy_and_torch_agree_and_views_need_no_copy():
    q, k, v = qkv(100)
    out = tca.dense_attention(*(t.numpy() for t in (q, k, v)))
    assert isinstance(out, numpy.ndarray) and numpy.array_equal(out, tca.dense_attention(q, k, v).numpy())
    by_head = [t.transpose(0, 1).contiguous().transpose(0, 1) for t in (q, k, v)]
    assert torch.equal(tca.dense_attention(*by_head), tca.dense_attention(q, k, v))
    given = torch.empty_like(q)
    lse = torch.empty(100, 4)
    assert tca.dense_attention(q, k, v, out=given, lse=lse) is given and torch.isfinite(lse).all()


def test_selection_keeps_what_was_asked_for():
    q, k, _ = qkv(500)
    kept = tca.select(q[-32:], k, shares=shares(0.2), rule=token_rule(sinks=4), windows=[16, 16])
    # Of the 480 that are neither sinks nor in the window, a fifth; and these.
    assert [len(kept.head(h)) for h in range(2)] == [96 + 20, 96 + 20]
    assert list(kept.offsets) == [0, 116, 232]
    assert set(range(4)) | set(range(484, 500)) <= set(kept.head(0).tolist())
    scores = tca.probe_scores(q[-32:], k, pool_width=1)
    middle = scores[0, 4:484]
    best = set((numpy.argsort(-middle, kind="stable")[:96] + 4).tolist())
    assert best <= set(kept.head(0).tolist())


def test_a_cache_is_ragged_and_decodes():
    q, k, v = qkv(300)
    pool = tca.KvPool.create(1 << 22, 64, "float32")
    full, thin = tca.KvCache(pool, 1, 2), tca.KvCache(pool, 1, 2)
    full.store(0, k, v)
    mine = tca.KeptSet(300, [0, 10, 300], list(range(10)) + list(range(10, 300)))
    thin.store(0, k, v, mine, 1)
    assert full.lengths.tolist() == [[300, 300]] and thin.lengths.tolist() == [[11, 290]]
    assert thin.positions(0, 0).tolist() == list(range(10)) + [299]
    assert thin.bytes_used < full.bytes_used and pool.used_bytes >= full.bytes_used + thin.bytes_used
    out, other = tca.decode_attention([q[-1:], q[-1:]], [full, thin], 0)
    assert (out.double() - sdpa(q[-1:], k, v)).abs().max() < 1e-5
    seen = torch.tensor(thin.positions(0, 0).tolist())
    assert (other[:, :2].double() - sdpa(q[-1:, :2], k[seen][:, :1], v[seen][:, :1])).abs().max() < 1e-5
    fork = full.fork()
    fork.truncate(0)
    assert fork.num_tokens(0) == 0 and full.num_tokens(0) == 300


def test_a_segment_after_a_past_is_the_whole():
    q, k, v = qkv(256)
    cache = tca.KvCache(tca.KvPool.create(1 << 22, 64, "float32"), 1, 2)
    cache.store(0, k[:100], v[:100])
    out = tca.dense_attention(q[100:], k[100:], v[100:], past=(cache, 0))
    assert (out.double() - sdpa(q, k, v)[100:]).abs().max() < 1e-5


def test_the_certificate_bounds_the_error():
    q, k, v = qkv(400)
    kept = tca.select(q[-32:], k, shares=shares(0.1), rule=token_rule(window=8))
    rows = [100, 250, 399]
    heads = tca.certify(q[rows], rows, k, v, kept=kept, window=8)
    error = (tca.prefill_attention(q, k, v, kept=kept, window=8) - tca.dense_attention(q, k, v))[rows].norm(dim=-1)
    for head, certificate in enumerate(heads):
        assert 0 < certificate.mean_delta <= certificate.p95_delta <= certificate.max_delta <= 1
        assert error[:, 2 * head:2 * head + 2].max() <= certificate.bound + 1e-5


def test_profiles_choose_for_a_length():
    profile = tca.Profile.load(str(MODEL / "profile.json"))
    assert profile.objectives and profile.model.num_kv_heads == 4
    choice = profile.choose(0.2, 8192)
    assert choice.kept_share.shape == (8, 4) and 0.1 < choice.held_share < 0.3
    assert len(choice.layer(0)) == 4 and choice.rule.window == profile.rule.window
    assert tca.Profile.parse(profile.to_json()).to_json() == profile.to_json()


# ---- the engine


@pytest.fixture(scope="module")
def engine():
    return tca.Engine(str(MODEL), compute="fp32", keep=0.2, attention="tca")


def test_answers_are_the_programs(engine, tmp_path):
    document = tmp_path / "document.txt"
    document.write_text(DOCUMENT)
    question = "How many books does shelf 7 hold?"
    done = program("chat", "-m", MODEL, "-d", document, "--keep", "0.2", "--attention", "tca", "--compute", "fp32",
                   "-n", "24", "--json", stdin=question.encode() + b"\n")
    assert done.returncode == 0, done.stderr.decode()
    expected = json.loads(done.stdout)
    chat = engine.chat()
    chat.read(DOCUMENT)
    turn = chat.say(question, max_tokens=24)
    assert turn.text and turn.text == expected["turns"][0]["text"]
    assert chat.kv_bytes == expected["turns"][0]["kv"]["bytes"] < chat.full_kv_bytes and chat.kept_share < 0.6


def test_streams_give_the_same_text(engine):
    said = engine.chat().say("Who are you?", max_tokens=12).text
    assert "".join(tca.stream(engine.chat(), "Who are you?", max_tokens=12)) == said
    pieces = tca.stream(engine.chat(), "Who are you?", max_tokens=200)
    assert next(pieces)
    pieces.close()  # ends the answer


def test_what_a_callback_raises_arrives(engine):
    def on_text(_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        engine.chat().say("Who are you?", max_tokens=5, on_text=on_text)


def test_sessions_read_fork_and_come_back(engine, tmp_path):
    ids = engine.tokenize(DOCUMENT)
    session = engine.session()
    logits = session.read(ids)
    assert logits.shape == (1, engine.vocab_size) and session.last_read["sparse"]
    saved = tmp_path / "s.tca"
    session.save(str(saved))
    again = engine.load_session(str(saved))
    fork = session.fork()
    said = engine.generate(session, logits, max_tokens=8)
    assert engine.generate(fork, logits, max_tokens=8).ids == said.ids
    assert engine.generate(again, logits, max_tokens=8).ids == said.ids
    assert engine.detokenize(said.ids) == said.text


def test_threads_share_an_engine(engine):
    texts = [None] * 4

    def work(i):
        texts[i] = engine.chat().say("Who are you?", max_tokens=8).text

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(set(texts)) == 1 and texts[0]


# ---- misuse


@pytest.mark.parametrize("call, kind, message", [
    (lambda q, k, v: tca.dense_attention(q.double(), k, v), tca.InvalidArgument, "q has a dtype"),
    (lambda q, k, v: tca.dense_attention(q[:, :, ::2], k, v), tca.InvalidArgument, "not contiguous along head_dim"),
    (lambda q, k, v: tca.dense_attention(q[0], k, v), tca.InvalidArgument, "2 dimensions"),
    (lambda q, k, v: tca.dense_attention(q, k.half(), v), tca.InvalidArgument, "dtype"),
    (lambda q, k, v: tca.dense_attention(q, k[:, :1], v), tca.InvalidArgument, "v is"),
    (lambda q, k, v: tca.select(q[:0], k, shares=shares(0.5)), tca.InvalidArgument, "q"),
    (lambda q, k, v: tca.select(q, k, shares=shares(0.5, heads=3)), tca.InvalidArgument, "shares"),
    (lambda q, k, v: tca.Backend("gpu9"), tca.Unsupported, "gpu9"),
    (lambda q, k, v: tca.KvPool.create(1 << 20, 64, "int4"), tca.InvalidArgument, "int4"),
    (lambda q, k, v: tca.KvCache(tca.KvPool.create(1, 64, "float32"), 1, 2).store(0, k, v), tca.OutOfBudget, "pool is full"),
    (lambda q, k, v: tca.Profile.parse("{"), tca.BadFile, "profile"),
    (lambda q, k, v: tca.Engine("no/such/model"), tca.IoError, "no such"),
    (lambda q, k, v: tca.Engine(str(MODEL), keep=2.0), tca.InvalidArgument, "keep is 2"),
    (lambda q, k, v: tca.Engine(str(MODEL), compute="int3"), tca.InvalidArgument, "int3"),
])
def test_misuse_says_what_is_wrong(call, kind, message):
    with pytest.raises(kind, match=message):
        call(*qkv(20))
    assert issubclass(kind, tca.Error)


def test_exceptions_are_pythons_own_too():
    assert issubclass(tca.InvalidArgument, ValueError) and issubclass(tca.IoError, OSError)
    assert issubclass(tca.OutOfBudget, MemoryError) and issubclass(tca.Unsupported, NotImplementedError)


RANDOM_CALLS = """
import random, sys
sys.path.insert(0, sys.argv[1])
import numpy, torch, tca
random.seed(int(sys.argv[2]))
pool = tca.KvPool.create(1 << 22, 16, "float32")
cache, rule = tca.KvCache(pool, 2, 2), tca.SelectionRule(window=4, block_size=8, probe_queries=4)
q, k, v = (torch.randn(20, heads, 16) for heads in (4, 2, 2))
full = [tca.BlockShares.full(8)] * 2
kept = tca.KeptSet(20, [0, 2, 3], [1, 5, 9])
things = [q, k, q[:4], q[:0], q[:1], torch.randn(20, 1, 16), None, -1, 0, 1, 2**40, 1.5, float("nan"), "x", [], [1], (cache, 0),
          (cache, 7), cache, pool, rule, b"", torch.randn(3), torch.zeros(2, 2, 16, dtype=torch.int32), k.bfloat16(),
          numpy.zeros((4, 2, 16), numpy.float32), [cache], [q], full[0], full, [tca.BlockShares([float("nan")] * 5)] * 2, kept,
          tca.KeptSet(3, [5, 1], [9]), tca.KeptSet(20, [], []), {}, object()]
calls = [(tca.select, [q[-4:], k], dict(shares=full, rule=rule, past=None, windows=[], scale=0.0)),
         (tca.prefill_attention, [q, k, v], dict(kept=kept, window=4, sinks=2, past=None, out=None, lse=None, scale=0.0)),
         (tca.dense_attention, [q, k, v], dict(past=None, out=None)),
         (tca.decode_attention, [q[-1:], cache, 0], dict(out=None, scale=0.0)),
         (tca.decode_attention, [[q[-1:]], [cache], 0], dict(out=None)),
         (tca.certify, [q[:2], [0, 9], k, v], dict(kept=kept, window=4, past=None)),
         (tca.probe_scores, [q[-4:], k], dict(past=None, pool_width=7)),
         (cache.store, [0, k, v, kept, 4], {}), (cache.store, [1, k, v], {}), (cache.thin, [0, 0, 1, [0]], {}),
         (cache.truncate, [0], {}), (cache.length, [0, 1], {}), (cache.positions, [0, 1], {}), (cache.tail_begin, [0, 1], {}),
         (tca.KeptSet, [20, [0, 2], [1, 5]], {}), (tca.KvCache, [pool, 2, 2], {}), (tca.KvPool.create, [1 << 20, 16, "float32"], {}),
         (tca.BlockShares, [[0.5, 0.5]], {}), (tca.SelectionRule, [], dict(window=4, sinks=1, block_size=8)),
         (tca.Profile.parse, ["{}"], {})]
right = 0
for _ in range(int(sys.argv[3])):
    call, args, options = random.choice(calls)
    args, options = list(args), dict(options)
    for _ in range(random.randrange(3)):  # of a good call, up to two arguments become something else
        if args and (not options or random.random() < 0.5):
            args[random.randrange(len(args))] = random.choice(things)
        elif options:
            options[random.choice(list(options))] = random.choice(things)
    try:
        call(*args, **options)
        right += 1
    except Exception:
        pass
    if random.random() < 0.02:
        cache.clear()
print(right)
"""


def test_ten_thousand_random_calls_leave_the_interpreter_alive():
    done = subprocess.run([sys.executable, "-c", RANDOM_CALLS, PACKAGE, str(random.randrange(100)), "10000"],
                          capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert int(done.stdout) > 2000, "a third is called as it should be"
