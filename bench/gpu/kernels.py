"""The CUDA kernels of this project on torch tensors, through bench/gpu/shim.cc (bf16, one layer)."""
import ctypes
import math

import torch

PAGE = 64  # tokens of a page
BLOCK, WINDOW, SINKS, PROBES, POOL = 64, 256, 4, 32, 7  # the rule of the shipped profile

_P, _I64, _I32, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_float


class Segment(ctypes.Structure):
    _fields_ = [(n, _P) for n in ("q", "k", "v", "out", "levels", "base", "scores", "bits", "prefix", "order",
                                  "kept_k", "kept_v", "workspace")]
    _fields_ += [("num_rows", _I64)]
    _fields_ += [(n, _I32) for n in ("num_tokens", "num_heads", "num_kv_heads", "head_dim", "block_size",
                                     "num_levels", "probe_queries", "pool_width", "sinks", "window")]
    _fields_ += [("scale", _F)]


class Decode(ctypes.Structure):
    _fields_ = [(n, _P) for n in ("q", "out", "pool", "kv", "partial", "counters")]
    _fields_ += [(n, _I32) for n in ("num_sequences", "num_heads", "num_kv_heads", "head_dim")]
    _fields_ += [("scale", _F)]


class Library:
    """Functions that raise what CUDA reports."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        self.library.tca_gpu_error.restype = ctypes.c_char_p
        for name in ("segment_size", "decode_size", "workspace_bytes"):
            getattr(self.library, f"tca_gpu_{name}").restype = _I64
        self.library.tca_gpu_workspace_bytes.argtypes = [_P]
        for name in ("dense", "select", "compact", "sparse", "sparse_step", "decode"):
            getattr(self.library, f"tca_gpu_{name}").argtypes = [_P, _P]
        self.library.tca_gpu_decode_sizes.argtypes = [_P, _P, _P]
        sizes = self.library.tca_gpu_segment_size(), self.library.tca_gpu_decode_size()
        if sizes != (ctypes.sizeof(Segment), ctypes.sizeof(Decode)):
            raise RuntimeError(f"{path}: its structs have {sizes} bytes, bench/gpu/kernels.py has others; rebuild it")

    def check(self, name, error):
        if error != 0:
            raise RuntimeError(f"tca_gpu_{name}: {self.library.tca_gpu_error(error).decode()}")

    def run(self, name, struct):
        function = getattr(self.library, f"tca_gpu_{name}")
        self.check(name, function(ctypes.addressof(struct), torch.cuda.current_stream().cuda_stream))


def rank_levels(num_blocks, fraction):
    """Ranks at which blocks go from keeping 64 to 32, 16, ... tokens, for a kept fraction: half of the kept tokens lie
    in whole blocks, a quarter each in blocks that keep 32 and 16."""
    shares = [fraction / 2, fraction / 2, fraction, 0, 0, 0, 0]
    levels, total = [0], 0.0
    for share in shares:
        total += share
        levels.append(min(num_blocks, math.floor(total * num_blocks + 0.5)))
    return levels


class Prefill:
    """q [L, Hq, d], k and v [L, Hk, d]; `fraction` of the tokens kept in every head."""

    def __init__(self, library, q, k, v, fraction=None):
        tokens, heads, dim = q.shape
        kv_heads, device = k.shape[1], q.device
        self.library, self.out = library, torch.empty_like(q)
        s = Segment(q=q.data_ptr(), k=k.data_ptr(), v=v.data_ptr(), out=self.out.data_ptr(), num_tokens=tokens,
                    num_heads=heads, num_kv_heads=kv_heads, head_dim=dim, block_size=BLOCK, num_levels=7,
                    probe_queries=PROBES, pool_width=POOL, sinks=SINKS, window=WINDOW, scale=dim ** -0.5)
        self.struct, self.held = s, [q, k, v]
        if fraction is None:
            return
        words = (tokens + 63) // 64
        levels = rank_levels((tokens + BLOCK - 1) // BLOCK, fraction)
        most = sum((levels[i + 1] - levels[i]) * (BLOCK >> i) for i in range(7)) + SINKS
        rows = (most + 127) // 128 * 128

        def new(shape, dtype):
            tensor = torch.empty(shape, dtype=dtype, device=device)
            self.held.append(tensor)
            return tensor

        level_table = torch.tensor([levels] * kv_heads, dtype=torch.int32, device=device)
        base = torch.arange(kv_heads, dtype=torch.int64, device=device) * rows
        self.held += [level_table, base]
        self.scores = new((kv_heads, tokens), torch.float32)
        self.bits, self.prefix = new((kv_heads, words), torch.int64), new((kv_heads, words + 1), torch.int32)
        s.levels, s.base, s.num_rows = level_table.data_ptr(), base.data_ptr(), kv_heads * rows
        s.scores, s.bits, s.prefix = self.scores.data_ptr(), self.bits.data_ptr(), self.prefix.data_ptr()
        s.order = new((kv_heads,), torch.int32).data_ptr()
        s.kept_k = new((kv_heads * rows, dim), q.dtype).data_ptr()
        s.kept_v = new((kv_heads * rows, dim), q.dtype).data_ptr()
        size = library.library.tca_gpu_workspace_bytes(ctypes.addressof(s))
        s.workspace = new((size,), torch.uint8).data_ptr()

    def call(self, name):
        self.library.run(name, self.struct)

    def kept(self):
        """[Hk, L] bool, of the last selection."""
        shifts = torch.arange(64, device=self.bits.device)
        return ((self.bits[:, :, None] >> shifts) & 1).bool().flatten(1)[:, : self.struct.num_tokens]

    def pairs(self):
        """Query-key pairs of all query heads after the last selection."""
        kept, tokens = self.kept(), self.struct.num_tokens
        before = torch.cumsum(kept, 1)[:, : max(0, tokens - WINDOW)].sum().item()
        w = min(WINDOW, tokens)
        window = kept.shape[0] * (w * (w + 1) // 2 + (tokens - w) * w)
        return (before + window) * (self.struct.num_heads // self.struct.num_kv_heads)


def to_pages(rows):
    """[n, 64, d] to the order of a page: 16-byte chunk c of row r lies at place c ^ (r % 8)."""
    n, page, dim = rows.shape
    chunk = torch.arange(dim // 8, device=rows.device)[None] ^ (torch.arange(page, device=rows.device)[:, None] & 7)
    index = chunk[None, :, :, None].expand(n, page, dim // 8, 8)
    return rows.view(n, page, dim // 8, 8).gather(2, index).view(n, page, dim)


class PagedDecode:
    """`buffers` caches of `batch` sequences whose KV heads hold `lengths` tokens; one query a sequence. Pages of all
    lie in one pool in random order. `fill` [buffers, batch, Hk] lists of (k, v) rows, or None: random content."""

    def __init__(self, library, lengths, batch, heads, dim, buffers, fill=None):
        kv_heads, device = len(lengths), "cuda"
        pages = [(n + PAGE - 1) // PAGE for n in lengths]
        total = buffers * batch * sum(pages)
        self.library, self.calls = library, []
        self.pool = torch.empty(max(1, total), 2, PAGE, dim, dtype=torch.bfloat16, device=device)
        if fill is None:
            self.pool.normal_()
        numbers = torch.randperm(total, device=device).to(torch.int32)
        self.q = torch.randn(batch, heads, dim, dtype=torch.bfloat16, device=device)
        self.out = torch.empty_like(self.q)
        self.lengths = torch.tensor(lengths, dtype=torch.int32, device=device)
        self.held, at = [], 0
        for b in range(buffers):
            entries = []
            for sequence in range(batch):
                table = torch.zeros(kv_heads, max(1, max(pages)), dtype=torch.int32, device=device)
                for h in range(kv_heads):
                    mine = numbers[at:at + pages[h]]
                    at += pages[h]
                    table[h, : pages[h]] = mine
                    if fill is not None and pages[h] > 0:
                        for part in range(2):
                            rows = torch.full((pages[h] * PAGE, dim), float("nan"), dtype=torch.bfloat16, device=device)
                            rows[: lengths[h]] = fill(b, sequence, h)[part]
                            self.pool[mine.long(), part] = to_pages(rows.view(pages[h], PAGE, dim))
                self.held.append(table)
                entries.append([table.data_ptr(), self.lengths.data_ptr(), table.shape[1]])
            kv = torch.tensor(entries, dtype=torch.int64, device=device)
            self.held.append(kv)
            self.calls.append(Decode(q=self.q.data_ptr(), out=self.out.data_ptr(), pool=self.pool.data_ptr(),
                                     kv=kv.data_ptr(), num_sequences=batch, num_heads=heads, num_kv_heads=kv_heads,
                                     head_dim=dim, scale=dim ** -0.5))
        partial, counters = _I64(), _I64()
        library.check("decode_sizes", library.library.tca_gpu_decode_sizes(
            ctypes.addressof(self.calls[0]), ctypes.addressof(partial), ctypes.addressof(counters)))
        self.partial = torch.empty(partial.value, dtype=torch.float32, device=device)
        self.counters = torch.zeros(counters.value, dtype=torch.int32, device=device)
        for call in self.calls:
            call.partial, call.counters = self.partial.data_ptr(), self.counters.data_ptr()
        self.bytes = batch * sum(lengths) * dim * 4

    def call(self, buffer):
        self.library.run("decode", self.calls[buffer])
