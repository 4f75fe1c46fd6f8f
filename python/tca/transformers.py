"""TCA attention in Transformers: caches that are ragged per KV head and free memory.

    model = AutoModelForCausalLM.from_pretrained(path, attn_implementation="tca")
    tca.transformers.use(model, "profile.json", keep=0.2)
    model.generate(...)

Layers with full causal attention keep what the profile says; layers with a sliding window, linear attention or anything
else are computed as Transformers does. Batches may be padded on the left. Beams and assisted decoding are refused.
"""
import functools
import hashlib
import importlib

import torch
import transformers
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import Cache as _Cache
from transformers.cache_utils import CacheLayerMixin

import tca
from tca import _operations

masking_utils = importlib.import_module("transformers.masking_utils")
sdpa = importlib.import_module("transformers.integrations.sdpa_attention").sdpa_attention_forward

_GIB = 1 << 30
# What generate() calls the cache: renamed in 5.24.
_CACHE = "cache" if tuple(int(part) for part in transformers.__version__.split(".")[:2]) >= (5, 24) else "past_key_values"


class _Settings:
    """What use() was given."""

    def __init__(self, model, profile, keep, objective, max_risk, attention, kv_budget):
        if profile is not None and not isinstance(profile, tca.Profile):
            profile = tca.Profile.load(str(profile))
        config = model.config.get_text_config()
        if profile is not None:
            _check_profile(profile.model, config)
        if attention not in ("auto", "full", "tca"):
            raise tca.InvalidArgument(f'attention is "{attention}"; expected auto, full or tca')
        if attention == "tca" and profile is None:
            raise tca.InvalidArgument("attention is tca, which needs a profile of the model")
        if keep is not None and not 0 < keep <= 1:
            raise tca.InvalidArgument(f"keep is {keep}; expected a share in (0, 1]")
        self.profile = profile
        self.objective = objective or (profile.usual_objective if profile else "")
        self.keep = keep if keep is not None else profile.usual_keep(self.objective) if profile else 1.0
        self.full = profile is None or attention == "full" or self.keep == 1
        self.always = attention == "tca"
        self.max_risk = float("inf") if max_risk is None else max_risk
        self.kv_budget = kv_budget
        self.rotary = _rotary_of(model)
        self.choice = functools.lru_cache(maxsize=64)(self._choose)  # by length: all layers ask for the same

    def _choose(self, num_tokens):
        return self.profile.choose(self.keep, num_tokens, self.objective, self.max_risk)


def _shape_of(config):
    """As a ModelFingerprint names it."""
    heads = config.num_attention_heads
    return {"num_layers": config.num_hidden_layers, "num_heads": heads,
            "num_kv_heads": getattr(config, "num_key_value_heads", None) or heads,
            "head_dim": getattr(config, "head_dim", None) or config.hidden_size // heads}


def _check_profile(profile, config):
    """The shape, which a profile is bound to: weights of fine-tunes differ."""
    for name, value in _shape_of(config).items():
        if getattr(profile, name) != value:
            raise tca.InvalidArgument(f"the profile is of another model ({profile}): {name} is {value} here; calibrate this one")


def _rotary_of(model):
    """What turns a bank's queries: a module that gives cosines and sines for positions; None where there is no such one."""
    return next((module for name, module in model.named_modules() if name.split(".")[-1] == "rotary_emb"), None)


def _rotate(x, cos, sin):
    """x [n, heads, d] by cos, sin [n, turned], halves as in Llama; dimensions beyond `turned` stay."""
    turned = cos.shape[-1]
    head, rest = x[..., :turned], x[..., turned:]
    half = turned // 2
    swapped = torch.cat([-head[..., half:], head[..., :half]], dim=-1)
    return torch.cat([head * cos[:, None] + swapped * sin[:, None], rest], dim=-1)


class _Layer(CacheLayerMixin):
    """One layer of full attention: of every row of the batch a KvCache holds what is kept."""

    is_sliding = False
    is_croppable = True

    def __init__(self, owner, index):
        super().__init__()
        self.owner, self.index, self.seen = owner, index, 0

    def lazy_initialization(self, key_states, value_states):
        self.owner.start(key_states)
        self.is_initialized = True

    def update(self, key_states, value_states, *args, **kwargs):
        self.lazy_initialization(key_states, value_states)
        self.seen += key_states.shape[-2]
        # An object of its own, so that the attention function that gets it knows where it came from.
        keys = key_states.view_as(key_states)
        keys.tca_layer = self
        return keys, value_states

    def get_mask_sizes(self, query_length):
        return self.seen + int(getattr(query_length, "shape", (query_length,))[0]), 0

    def get_seq_length(self):
        return self.seen

    def get_max_length(self):
        return -1

    def reset(self):
        self.seen = 0
        self.owner.clear()

    def crop(self, *args, **kwargs):
        raise tca.Unsupported("a cache that has dropped tokens cannot be cut back; make a new one, or fork it in time")

    def reorder_cache(self, beam_idx):
        raise tca.Unsupported("beam search reorders caches, which tca's do not; use num_beams=1")

    def batch_repeat_interleave(self, repeats):
        raise tca.Unsupported("this way of decoding copies rows of the cache, which tca's do not; use greedy search or sampling")

    def batch_select_indices(self, indices):
        self.batch_repeat_interleave(1)


class _NoGradient(torch.autograd.Function):
    """Attention whose gradient somebody might ask for, and get nothing in silence."""

    @staticmethod
    def forward(ctx, out, query):
        return out.view_as(out)

    @staticmethod
    def backward(ctx, gradient):
        raise tca.Unsupported('tca computes no gradients: train with attn_implementation="sdpa"')


class Cache(_Cache):
    """A cache for generate() and forward passes of a model that use() was called for; several turns may share one.

    kv_bytes: of the pages held. kept_share: of the real tokens seen, mean over layers and KV heads.
    """

    def __init__(self, model):
        settings = getattr(model, "_tca_settings", None)
        if settings is None:
            raise tca.InvalidArgument("the model has no profile yet: call tca.transformers.use(model, profile) first")
        self.settings = settings
        config = model.config.get_text_config()
        layers = DynamicCache(config=config).layers  # those of other kinds stay what they are
        if not layers:
            layers = [None] * config.num_hidden_layers
        plain = [layer is None or type(layer).__name__ == "DynamicLayer" for layer in layers]
        super().__init__(layers=[_Layer(self, i) if mine else layer for i, (layer, mine) in enumerate(zip(layers, plain))])
        self.mine = [i for i, mine in enumerate(plain) if mine]
        self.rows = None  # KvCache of each row of the batch
        self.padding = None

    def start(self, keys):
        if self.rows is not None:
            if len(self.rows) != keys.shape[0]:
                raise tca.InvalidArgument(f"the batch has {keys.shape[0]} rows, but this cache was begun with {len(self.rows)}")
            return
        name = str(keys.dtype).split(".")[-1]
        backend = _operations.backend_of(keys)
        self.pool = backend.create_kv_pool(self.settings.kv_budget, keys.shape[-1], name)
        self.rows = [tca.KvCache(self.pool, len(self.layers), keys.shape[1]) for _ in range(keys.shape[0])]

    def clear(self):
        self.padding = None
        for row in self.rows or []:
            row.clear()

    @property
    def kv_bytes(self):
        return sum(row.bytes_used for row in self.rows or [])

    @property
    def kept_share(self):
        if not self.rows or not self.mine:
            return 1.0
        held = sum(row.lengths[self.mine].sum() for row in self.rows)
        heads = self.rows[0].lengths.shape[1]
        seen = sum(row.num_tokens(i) for row in self.rows for i in self.mine) * heads
        return float(held) / seen if seen else 1.0


# ---- attention


def _padding_of(mask, rows, length):
    """Tokens of padding on the left of each row; mask [rows, length] or None. Padding elsewhere is refused."""
    if mask is None:
        return [0] * rows
    mask = mask[:, :length].bool()
    pads = (~mask).sum(dim=1)
    positions = torch.arange(mask.shape[1], device=mask.device)
    if not bool((mask == (positions >= pads[:, None])).all()):
        raise tca.InvalidArgument('attention_mask has zeros that are not on the left: pad with tokenizer.padding_side = "left"')
    return pads.tolist()


def _by_bank(settings, layer, k, position):
    """Probes behind the segment, turned to where a question would be asked; None without a bank."""
    bank = settings.profile.bank(layer) if settings.objective == "answer-risk" else None
    if bank is None:
        return None
    if settings.rotary is None:
        raise tca.Unsupported("the model has no module rotary_emb that could turn the profile's queries; use objective='tail-risk'")
    queries = torch.from_numpy(bank).to(k.device)
    at = torch.full((1, queries.shape[0]), position + settings.profile.bank_distance - 1, device=k.device)
    cos, sin = settings.rotary(queries[None], at)[:2]
    return _rotate(queries, cos[0].float(), sin[0].float()).to(k.dtype)


def _select(settings, layer, q, k, past, total):
    choice = settings.choice(total)
    probes = _by_bank(settings, layer, k, total)
    options = {"shares": choice.layer(layer), "rule": choice.rule, "past": past, "windows": choice.windows(layer)}
    if probes is None:
        count = min(choice.rule.probe_queries, k.shape[0])
        return choice, tca.select(q[-count:], k, **options), False
    return choice, tca.select(probes, k, probes_follow=True, reduce=settings.profile.bank_reduce, **options), True


def _attend_row(layer, cache, q, k, v, scale):
    """One row's segment: q [n, Hq, d], k and v [n, Hk, d], without padding. Returns [n, Hq, d]."""
    settings, index, n = layer.owner.settings, layer.index, k.shape[0]
    seen = cache.num_tokens(index)
    past = (cache, index) if seen else None
    backend = _operations.backend_of(k)
    sparse = not settings.full and (settings.always or n >= backend.break_even_tokens(settings.keep, k.shape[-1]))
    if not sparse:
        out = tca.dense_attention(q, k, v, past=past, scale=scale)
        cache.store(index, k, v)
        return out
    choice, kept, by_bank = _select(settings, index, q, k, past, seen + n)
    rule = choice.rule
    # A set by the bank is what is stored: what a prompt itself attends to is everything.
    attended = None if by_bank else kept
    out = tca.prefill_attention(q, k, v, kept=attended, window=rule.window, sinks=rule.sinks, past=past, scale=scale)
    cache.store(index, k, v, kept, 0 if choice.windows(index) else rule.window)
    return out


def _decode(layer, query, key, value, scale, out):
    """The next token of every row at once."""
    rows = layer.owner.rows
    q, k, v = (list(t.transpose(1, 2)) for t in (query, key, value))  # [1, heads, d] each
    for cache, new_k, new_v in zip(rows, k, v):
        cache.store(layer.index, new_k, new_v)
    tca.decode_attention(q, rows, layer.index, scale=scale, out=list(out))


def _refuse(module, dropout, sliding_window, softcap, sinks):
    for name, value in (("dropout", dropout), ("sliding_window", sliding_window), ("softcap", softcap), ("sinks (s_aux)", sinks)):
        if value is not None and not (isinstance(value, (int, float)) and value == 0):
            raise tca.Unsupported(f"{type(module).__name__} asks for {name}, which tca does not compute; "
                                  "load the model with another attn_implementation")


def attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, sliding_window=None, softcap=None,
              s_aux=None, **kwargs):
    """The attention function behind attn_implementation="tca": query [B, Hq, n, d] -> ([B, n, Hq, d], None)."""
    layer = getattr(key, "tca_layer", None)
    if _capture is not None and sliding_window is None and (attention_mask is None or attention_mask.dim() == 2):
        _capture(module, query, key)
    if layer is None:  # no cache of ours: a sliding layer, training, a forward pass without a cache
        _refuse(module, None, None, softcap, s_aux)  # which SDPA leaves out in silence
        mask = attention_mask if attention_mask is None or attention_mask.dim() == 4 else _expanded(attention_mask, query, key)
        return sdpa(module, query, key, value, mask, scaling=scaling, dropout=dropout, **kwargs)
    _refuse(module, dropout, sliding_window, softcap, s_aux)
    if attention_mask is not None and attention_mask.dim() != 2:
        raise tca.Unsupported("a mask of its own for every query is not causal attention; use attn_implementation=\"sdpa\"")
    rows, new = query.shape[0], query.shape[2]
    owner = layer.owner
    if owner.padding is None:
        owner.padding = _padding_of(attention_mask, rows, layer.seen)
    out = torch.zeros(rows, new, query.shape[1], query.shape[3], dtype=query.dtype, device=query.device)
    scale = 0.0 if scaling is None else scaling
    decodes = new == 1 and all(cache.num_tokens(layer.index) > 0 for cache in owner.rows)
    if decodes:
        with torch.no_grad():
            _decode(layer, query, key, value, scale, out)
    for row in range(0 if decodes else rows):
        skip = max(0, owner.padding[row] - (layer.seen - new))
        if skip >= new:
            raise tca.InvalidArgument(f"row {row} of the batch is all padding")
        q, k, v = (t[row, :, skip:].transpose(0, 1) for t in (query, key, value))
        with torch.no_grad():
            out[row, skip:] = _attend_row(layer, owner.rows[row], q, k, v, scale)
    return (_NoGradient.apply(out, query) if query.requires_grad else out), None


def _expanded(mask, query, key):
    """[B, kv] padding and causality as [B, 1, n, kv]."""
    n, length = query.shape[2], key.shape[2]
    positions = torch.arange(length, device=key.device)
    causal = positions <= torch.arange(length - n, length, device=key.device)[:, None]
    own = positions == torch.arange(length - n, length, device=key.device)[:, None]  # padding sees itself, or it is NaN
    return (causal & mask[:, None, None, :length].bool()) | own


def mask(*args, attention_mask=None, mask_function=masking_utils.causal_mask_function, **kwargs):
    """Padding alone, [B, length], of causal attention; what Transformers makes for SDPA of anything else."""
    if mask_function is masking_utils.causal_mask_function:
        return None if attention_mask is None or bool(attention_mask.all()) else attention_mask
    return masking_utils.sdpa_mask(*args, attention_mask=attention_mask, mask_function=mask_function, **kwargs)


AttentionInterface.register("tca", attention)
masking_utils.AttentionMaskInterface.register("tca", mask)


# ---- use


def use(model, profile=None, *, keep=None, objective="", max_risk=None, attention="auto", kv_budget=64 * _GIB):
    """From now on model.generate() makes caches that keep what `profile` says. Returns the model.

    profile: a tca.Profile, the path of one, or None: everything is kept. keep: share of the KV cache in (0, 1]; None: what the
    profile measured. attention: "auto" (dense below the length at which choosing pays), "tca" or "full". kv_budget: bytes that
    one cache may take. Raises InvalidArgument for a profile of another shape, Unsupported for models without attention that
    AttentionInterface replaces.
    """
    if model.config.get_text_config()._attn_implementation != "tca":
        model.set_attn_implementation("tca")
    model._tca_settings = _Settings(model, profile, keep, objective, max_risk, attention, kv_budget)
    if getattr(model.generate, "tca", False):
        return model
    generate = model.generate

    @functools.wraps(generate)
    def with_cache(*args, **kwargs):
        config = kwargs.get("generation_config") or model.generation_config
        if kwargs.get("num_beams", config.num_beams) not in (None, 1):
            raise tca.Unsupported("beam search reorders caches, which tca's do not; use num_beams=1")
        if kwargs.get("assistant_model") is not None or kwargs.get("prompt_lookup_num_tokens") is not None:
            raise tca.Unsupported("assisted decoding takes tokens back, which a cache that dropped some cannot; leave it out")
        if kwargs.get("use_cache", True) and kwargs.get("past_key_values") is None and kwargs.get("cache") is None:
            kwargs[_CACHE] = Cache(model)
        return generate(*args, **kwargs)

    with_cache.tca = True
    model.generate = with_cache
    return model


# ---- calibration


class _Capture:
    """While a model is calibrated: every full-attention layer's queries and keys go to the measurement."""

    def __init__(self, calibration):
        self.calibration, self.layers = calibration, set()

    def __call__(self, module, query, key):
        index = getattr(module, "layer_idx", None)
        if index is None:
            raise tca.Unsupported(f"{type(module).__name__} has no layer_idx, so its layer cannot be told")
        q, k = (t[0].transpose(0, 1).detach().float().cpu() for t in (query, key))
        self.calibration.add(index, q, k)
        self.layers.add(index)


_capture = None  # of the calibration that is running, on this process' one model


def _fingerprint(model):
    config = model.config.get_text_config()
    names = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        names.update(f"{name} {tuple(tensor.shape)}\n".encode())
    return tca.ModelFingerprint(architecture=(config.architectures or [type(model).__name__])[0], rope="transformers",
                                vocab_size=config.vocab_size, weights_sha256=names.hexdigest(), **_shape_of(config))


def calibrate(model, sequences, *, budgets=(0.05, 0.1, 0.15, 0.2, 0.3, 0.39), objectives=("tail-risk",), rows=192, seed=0):
    """A Profile by dropped attention mass (docs/algorithm.md) of any causal model with AttentionInterface.

    sequences: token ids of texts, a list of ids each, of at least 512 tokens; the longer, the more a profile tells. Layers with
    sliding windows or linear attention are not measured, and keep what Transformers keeps. Weights may be in whatever format
    Transformers loads. The model reads every sequence once, in full attention; measuring runs on the CPU.
    """
    global _capture
    measured = tca.Calibration(_fingerprint(model), budgets=list(budgets), objectives=list(objectives), rows=rows, seed=seed)
    if model.config.get_text_config()._attn_implementation != "tca":
        model.set_attn_implementation("tca")
    _capture = _Capture(measured)
    try:
        for ids in sequences:
            measured.begin(len(ids), len(ids))
            with torch.no_grad():
                model(torch.tensor([list(ids)], device=model.device), use_cache=False, logits_to_keep=1)
    finally:
        layers, _capture = _capture.layers, None
    if not layers:
        raise tca.Unsupported(f"{type(model).__name__} has no layer of full attention that calls AttentionInterface")
    return measured.profile()
