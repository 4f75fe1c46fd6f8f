"""Operations as functions: the backend is the one of the tensors' device, and on a GPU of the caller's stream.

Notation: L tokens of a segment, Hq query heads, Hk KV heads, d = head_dim. Queries and keys come after RoPE. Tensors are
[tokens, heads, head_dim] of float32, bfloat16 or float16; bfloat16 and float16 alone on a GPU.
"""
import functools
import sys

from tca._tca import Backend


@functools.lru_cache(maxsize=None)
def _cpu():
    return Backend("cpu")


@functools.lru_cache(maxsize=64)  # programs that make streams without end would keep as many backends
def _cuda(device, stream=None):
    """On a stream of the caller's, or the library's own of that GPU."""
    return Backend(f"cuda:{device}", stream=stream, device=device)


def backend_of(tensor):
    """The backend whose kernels take `tensor`: "cpu", or "cuda" on its GPU and, for torch, on the current stream there."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(tensor, torch.Tensor):
        if tensor.device.type != "cuda":
            return _cpu()
        return _cuda(tensor.device.index, torch.cuda.current_stream(tensor.device).cuda_stream)
    if hasattr(tensor, "__dlpack_device__"):
        kind, device = tensor.__dlpack_device__()
        if kind == 2:  # kDLCUDA; of other frameworks the library's own stream
            return _cuda(device)
    return _cpu()


def _empty_like(q):
    """Uninitialised, contiguous, of q's framework, shape, dtype and device."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(q, torch.Tensor):
        return torch.empty(q.shape, dtype=q.dtype, device=q.device)
    import numpy

    if isinstance(q, numpy.ndarray):
        return numpy.empty(q.shape, q.dtype)
    raise TypeError(f"out is needed: arrays of {type(q).__module__} cannot be written to in place, so give a torch or numpy "
                    "tensor for it")


def select(q, k, *, shares, backend=None, **options):
    """Chooses a segment's core tokens: a KeptSet.

    q [P, Hq, d]: the segment's last P = min(L, rule.probe_queries) queries, or any with probes_follow=True. k [L, Hk, d].
    shares: a BlockShares for every KV head (HeadShares.layer()). Keywords: rule, past=(KvCache, layer), scale,
    probes_follow, reduce, windows. Exact from the scores on, the same on every backend. Raises InvalidArgument naming
    what is wrong. Source: docs/algorithm.md, steps 1-4 (arXiv 2512.09238, section 4).
    """
    return (backend or backend_of(k)).select(q, k, shares=shares, **options)


def probe_scores(q, k, *, backend=None, **options):
    """float32 [Hk, L]: the attention that the probes q [P, Hq, d] give to the keys k [L, Hk, d], normalised to sum 1."""
    return (backend or backend_of(k)).probe_scores(q, k, **options)


def prefill_attention(q, k, v, *, kept=None, window=256, sinks=4, past=None, scale=0.0, lse=None, out=None, backend=None):
    """Attention of a segment's last n queries over what `kept`, the window and the sinks show: out [n, Hq, d].

    q [n, Hq, d], k and v [L, Hk, d], one dtype. kept: a KeptSet, or None for dense causal attention. past: (KvCache,
    layer) of earlier tokens, all of which every query sees. scale: 0 means 1 / sqrt(d). lse: float32 [n, Hq] to be
    filled. out: where to write, else new. Source: docs/algorithm.md, step 5.
    """
    out = _empty_like(q) if out is None else out
    (backend or backend_of(k)).prefill_attention(q, k, v, out, kept=kept, window=window, sinks=sinks, past=past, scale=scale,
                                                 lse=lse)
    return out


def dense_attention(q, k, v, **options):
    """prefill_attention over everything: causal attention in full."""
    return prefill_attention(q, k, v, kept=None, **options)


def decode_attention(q, cache, layer, *, scale=0.0, out=None, backend=None):
    """Queries of the last n tokens of a cache, which holds their keys and values already: out [n, Hq, d].

    q [n, Hq, d] and cache a KvCache, or lists of both for a batch of sequences of any lengths.
    """
    batch = isinstance(q, (list, tuple))
    queries, caches = (list(q), list(cache)) if batch else ([q], [cache])
    outs = [_empty_like(one) for one in queries] if out is None else (list(out) if batch else [out])
    if not queries:
        return outs
    (backend or backend_of(queries[0])).decode_attention(queries, outs, caches, layer=layer, scale=scale)
    return outs if batch else outs[0]


def certify(q, rows, k, v, *, kept, backend=None, **options):
    """Attention mass that sampled queries q [R, Hq, d], at positions `rows`, lose: one HeadCertificate for each KV head.

    Keywords: window, sinks, past, scale. The bound is proven for the sampled rows (docs/algorithm.md).
    """
    return (backend or backend_of(k)).certify(q, rows, k, v, kept=kept, **options)
