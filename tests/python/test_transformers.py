"""Models of Transformers with tca's attention and caches."""
import sys

import pytest
import torch
import transformers

from cli_program import MODEL, NOVEL, PACKAGE, tca as program

sys.path.insert(0, PACKAGE)
import tca  # noqa: E402
import tca.transformers  # noqa: E402

TEXT = NOVEL.read_text()[20000:28000]


def tiny(name="Llama", **fields):
    """A random model of one of Transformers' architectures."""
    torch.manual_seed(0)
    shape = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                 vocab_size=200, max_position_embeddings=2048, head_dim=16, pad_token_id=0, bos_token_id=1, eos_token_id=None)
    config = getattr(transformers, f"{name}Config")(**{**shape, **fields})
    return getattr(transformers, f"{name}ForCausalLM")(config).eval()


def greedy(model, ids, n=12, **options):
    with torch.no_grad():
        return model.generate(ids, max_new_tokens=n, do_sample=False, **options)


@pytest.fixture(scope="module")
def lookback():
    model = transformers.AutoModelForCausalLM.from_pretrained(MODEL, attn_implementation="tca", dtype=torch.float32).eval()
    return tca.transformers.use(model, MODEL / "profile.json", keep=0.2, attention="tca")


@pytest.fixture(scope="module")
def engine():
    return tca.Engine(str(MODEL), keep=0.2, attention="tca", compute="fp32")


@pytest.mark.parametrize("name, fields", [("Llama", {}), ("Qwen3", {}), ("Phi3", {}), ("Olmo2", {}), ("Granite", {}),
                                          ("Glm4", {}), ("Mixtral", {"num_local_experts": 4})])
def test_without_a_profile_tokens_are_those_of_sdpa(name, fields):
    ids = torch.randint(3, 200, (1, 120))
    model = tiny(name, **fields)
    expected = greedy(model, ids)
    tca.transformers.use(model)
    assert torch.equal(greedy(model, ids), expected)


def test_logits_are_those_of_sdpa():
    model, ids = tiny(), torch.randint(3, 200, (1, 300))
    with torch.no_grad():
        expected = model(ids).logits
        cache = tca.transformers.Cache(tca.transformers.use(model))
        logits = model(ids, past_key_values=cache).logits
    assert (logits - expected).abs().max() < 1e-5 and cache.kept_share == 1 and cache.get_seq_length() == 300


def test_tokens_are_the_engines(lookback, engine):
    ids = engine.tokenize(TEXT)
    session = engine.session()
    said = engine.generate(session, session.read(ids), max_tokens=16)
    out = greedy(lookback, torch.tensor([ids]), 16)[0, len(ids):].tolist()
    assert out[:len(said.ids)] == said.ids


def test_bytes_shrink_and_turns_share_a_cache(lookback, engine):
    ids = torch.tensor([engine.tokenize(TEXT)])
    cache = tca.transformers.Cache(lookback)
    out = greedy(lookback, ids, 4, past_key_values=cache)
    full = 2 * 4 * ids.shape[1] * 4 * 64 * 8  # K and V, fp32, 4 heads of 64, 8 layers
    assert cache.kv_bytes < 0.5 * full and cache.kept_share < 0.4
    more = torch.cat([out, torch.tensor([engine.tokenize(" And then", False)])], dim=1)
    again = greedy(lookback, more, 4, past_key_values=cache)
    assert again.shape[1] == more.shape[1] + 4 and cache.get_seq_length() == again.shape[1] - 1


def test_batches_may_be_padded_on_the_left(lookback, engine):
    ids = engine.tokenize(TEXT)
    long, short = torch.tensor([ids]), torch.tensor([ids[500:]])
    batch = torch.cat([long, torch.cat([torch.zeros(1, 500, dtype=torch.long), short], dim=1)])
    mask = torch.ones_like(batch)
    mask[1, :500] = 0
    out = greedy(lookback, batch, 8, attention_mask=mask)
    assert torch.equal(out[0], greedy(lookback, long, 8)[0])
    assert torch.equal(out[1, 500:], greedy(lookback, short, 8)[0])


def test_sliding_layers_stay_transformers_own():
    ids = torch.randint(3, 200, (1, 100))
    fields = dict(sliding_window=16, layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=16)
    model = gemma3(fields)
    expected = greedy(model, ids)
    tca.transformers.use(model)
    assert torch.equal(greedy(model, ids), expected)


def gemma3(fields):
    torch.manual_seed(0)
    config = transformers.Gemma3TextConfig(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                           num_key_value_heads=2, vocab_size=200, head_dim=16, pad_token_id=0, eos_token_id=None,
                                           **fields)
    return transformers.Gemma3ForCausalLM(config).eval()


def test_calibration_gives_the_programs_profile(tmp_path, engine):
    """The same sequences, without questions, through Transformers and through the runtime."""
    model = transformers.AutoModelForCausalLM.from_pretrained(MODEL, attn_implementation="tca", dtype=torch.float32).eval()
    text = tmp_path / "text.txt"
    text.write_text(NOVEL.read_text()[:40000])
    done = program("calibrate", "-t", text, "--objective", "tail-risk", "--tokens", "2048", "--sequences", "2", "--no-facts",
                   "--budgets", "0.2,0.39", "--compute", "fp32", "-o", tmp_path / "p.json", "-m", MODEL)
    assert done.returncode == 0, done.stderr.decode()
    expected = tca.Profile.load(str(tmp_path / "p.json"))
    ids = engine.tokenize(text.read_text())
    found = tca.transformers.calibrate(model, [ids[:2048], ids[2048:4096]], budgets=[0.2, 0.39])
    for keep in (0.2, 0.39):
        a, b = found.choose(keep, 8192), expected.choose(keep, 8192)
        assert abs(a.held_share - b.held_share) < 0.02
    tca.transformers.use(model, found, keep=0.2, attention="tca")
    cache = tca.transformers.Cache(model)
    greedy(model, torch.tensor([ids[:2000]]), 3, past_key_values=cache)
    assert cache.kept_share < 0.45


@pytest.mark.parametrize("name, fields, layers", [("Phi3", {}, 2), ("Olmo2", {}, 2), ("Glm4", {}, 2), ("Qwen3", {}, 2)])
def test_any_model_of_transformers_can_be_calibrated(name, fields, layers):
    model = tiny(name, **fields)
    torch.manual_seed(1)
    ids = torch.randint(3, 200, (1200,)).tolist()
    profile = tca.transformers.calibrate(model, [ids], budgets=[0.3])
    assert profile.model.num_layers == layers and profile.objectives == ["tail-risk"]
    tca.transformers.use(model, profile, keep=0.3, attention="tca")
    cache = tca.transformers.Cache(model)
    greedy(model, torch.tensor([ids]), 2, past_key_values=cache)
    assert cache.kept_share < 0.6


def test_gradients_are_not_silently_nothing():
    model = tca.transformers.use(tiny())
    ids = torch.tensor([[3, 4, 5, 6]])
    loss = model(ids, past_key_values=tca.transformers.Cache(model)).logits.sum()
    with pytest.raises(tca.Unsupported, match="no gradients"):
        loss.backward()
    model(ids, use_cache=False).logits.sum().backward()  # without our cache it is SDPA


@pytest.mark.parametrize("options, message", [
    ({"num_beams": 2}, "beam search"),
    ({"prompt_lookup_num_tokens": 2}, "assisted decoding"),
    ({"attention_mask": torch.tensor([[1, 1, 0, 1]])}, "not on the left"),
    ({"attention_mask": torch.tensor([[0, 0, 0, 0]])}, "all padding"),
])
def test_what_is_not_served_is_refused(options, message):
    model = tca.transformers.use(tiny())
    with pytest.raises(tca.Error, match=message):
        greedy(model, torch.tensor([[3, 4, 5, 6]]), 3, **options)


@pytest.mark.parametrize("name, what", [("Gemma2", "softcap"), ("GptOss", "sinks")])
def test_what_sdpa_would_leave_out_in_silence_is_refused(name, what):
    fields = {"num_local_experts": 4} if name == "GptOss" else {"query_pre_attn_scalar": 16}
    model = tiny(name, **fields)
    with pytest.raises(tca.Unsupported, match=what):
        greedy(tca.transformers.use(model), torch.tensor([[3, 4, 5, 6]]), 2)


def test_a_profile_of_another_shape_is_refused():
    with pytest.raises(tca.InvalidArgument, match="num_layers is 2 here"):
        tca.transformers.use(tiny(), MODEL / "profile.json")
    with pytest.raises(tca.InvalidArgument, match="use\\(model, profile\\)"):
        tca.transformers.Cache(tiny())


def test_a_cache_cannot_be_cut_back_or_reordered(lookback):
    cache = tca.transformers.Cache(lookback)
    with torch.no_grad():
        lookback(torch.tensor([[3, 4, 5]]), past_key_values=cache)
    for call in (lambda: cache.crop(-1), lambda: cache.reorder_cache(torch.tensor([0])), lambda: cache.batch_repeat_interleave(2)):
        with pytest.raises(tca.Unsupported):
            call()
    with pytest.raises(tca.InvalidArgument, match="begun with 1"):
        lookback(torch.tensor([[3], [4]]), past_key_values=cache)
    cache.reset()
    assert cache.get_seq_length() == 0 and cache.kv_bytes == 0
