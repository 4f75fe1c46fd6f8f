#!/usr/bin/env python3
"""Attention of one layer on the CPU beside PyTorch's scaled_dot_product_attention, in one run on the same threads.

bf16, causal, random data. Both take turns, medians count; PyTorch gets the layout and the form of grouped heads that is
fastest for it. Our dense result is checked against PyTorch's before anything is timed. What TCA takes includes
selection. The process may be pinned from outside (taskset); --threads defaults to what it may use."""
import argparse
import ctypes
import math
import os
import statistics
import sys

import torch
import torch.nn.functional as F

import measure

LENGTHS = (1024, 2048, 4096, 8192, 32768, 131072)
HEADS = ("8/4", "32/8")
LONGEST = {"32/8": 32768}  # of the default lengths: more takes many minutes a row
SHARE = 0.2
CACHES_BYTES = 256 << 20  # decoding goes round caches of this size together: none stays in the processor's


class Layer(ctypes.Structure):
    """TcaLayer of bench/cpu/shim.cc."""
    _fields_ = [("q", ctypes.c_void_p), ("k", ctypes.c_void_p), ("v", ctypes.c_void_p), ("out", ctypes.c_void_p),
                ("num_tokens", ctypes.c_int64), ("num_heads", ctypes.c_int32), ("num_kv_heads", ctypes.c_int32),
                ("head_dim", ctypes.c_int32)]


class Ours:
    def __init__(self, library, threads):
        self.library = ctypes.CDLL(str(library))
        self.library.tca_cpu_create.restype = ctypes.c_void_p
        for name in ("dense", "select", "sparse", "sparse_pairs", "fill_caches", "decode", "bf16_peak", "read_peak"):
            getattr(self.library, f"tca_cpu_{name}").restype = ctypes.c_double
        self.bench = ctypes.c_void_p(self.library.tca_cpu_create(threads))
        if not self.bench:
            sys.exit("attention.py: no cpu backend (see above)")
        name = ctypes.create_string_buffer(64)
        self.library.tca_cpu_target(self.bench, name, ctypes.c_size_t(64))
        self.target = name.value.decode()

    def call(self, name, *arguments):
        result = getattr(self.library, f"tca_cpu_{name}")(self.bench, *arguments)
        if result < 0:
            sys.exit(f"attention.py: {name} failed (see above)")
        return result

    def close(self):
        self.library.tca_cpu_destroy(self.bench)


class Problem:
    def __init__(self, tokens, heads, kv_heads, dim):
        self.q = torch.randn(tokens, heads, dim).bfloat16()
        self.k = torch.randn(tokens, kv_heads, dim).bfloat16()
        self.v = torch.randn(tokens, kv_heads, dim).bfloat16()
        self.out = torch.zeros_like(self.q)
        pointers = [t.data_ptr() for t in (self.q, self.k, self.v, self.out)]
        self.layer = ctypes.byref(Layer(*pointers, tokens, heads, kv_heads, dim))

    def for_torch(self):
        """[1, heads, L, d] without gaps."""
        return [t.transpose(0, 1).unsqueeze(0).contiguous() for t in (self.q, self.k, self.v)]


def sdpa(q, k, v, grouped, causal=True):
    if not grouped:
        return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)


def torch_forms(problem, last_query=False):
    """Grouped heads left to PyTorch, and K and V repeated beforehand."""
    q, k, v = problem.for_torch()
    group = q.shape[1] // k.shape[1]
    if last_query:
        q = q[:, :, -1:].contiguous()
    repeated = [t.repeat_interleave(group, 1) for t in (k, v)]
    return [sdpa(q, k, v, True, not last_query), sdpa(q, *repeated, False, not last_query)]


def check(ours, problem, what):
    """Both round probabilities and results to bf16: 2^-8 of the largest |v| each, and as much again for sums."""
    ours.call("dense", problem.layer)
    expected = torch_forms(problem)[1]()[0].transpose(0, 1).float()
    worst = (problem.out.float() - expected).abs().max().item()
    bound = 4 * 2 ** -8 * problem.v.float().abs().max().item()
    if not worst <= bound:
        sys.exit(f"attention.py: {what}: our result is {worst:.4f} from PyTorch's, more than {bound:.4f}")
    return worst


FORM_LENGTH = 4096  # long enough to tell which form is faster


def faster_form(tokens, *shape, last_query=False):
    """Index into torch_forms()."""
    calls = torch_forms(Problem(min(tokens, FORM_LENGTH), *shape), last_query)
    times = measure.take_turns(dict(enumerate(calls)), 0.3)
    return min(times, key=lambda form: statistics.median(times[form]))


def prefill_row(ours, args, tokens, heads, kv_heads, dim):
    problem = Problem(tokens, heads, kv_heads, dim)
    items = {}
    if not args.no_torch:
        items["torch"] = torch_forms(problem)[faster_form(tokens, heads, kv_heads, dim)]
    items["dense"] = lambda: ours.call("dense", problem.layer)
    items["select"] = lambda: ours.call("select", problem.layer, ctypes.c_double(SHARE))
    items["sparse"] = lambda: ours.call("sparse", problem.layer)
    times = measure.take_turns(items, args.seconds)
    flops = 4 * dim * heads * tokens * (tokens + 1) / 2
    kept = ours.call("select", problem.layer, ctypes.c_double(SHARE)) / (kv_heads * tokens)
    row = {"tokens": tokens, "heads": f"{heads}/{kv_heads}", "head_dim": dim, "flops": flops, "kept": kept,
           "sparse_flops": 4 * dim * ours.call("sparse_pairs", problem.layer)}
    row |= {f"{name}_ms": statistics.median(t) * 1e3 for name, t in times.items()}
    row["spread_ms"] = {name: [min(t) * 1e3, max(t) * 1e3] for name, t in times.items()}
    row["runs"] = len(times["dense"])
    row["tca_ms"] = row["select_ms"] + row["sparse_ms"]
    return row


def decode_row(ours, args, tokens, heads, kv_heads, dim):
    problem = Problem(tokens, heads, kv_heads, dim)
    everything = tokens * kv_heads * dim * 2 * 2
    count = max(1, CACHES_BYTES // everything)
    row = {"tokens": tokens, "heads": f"{heads}/{kv_heads}", "head_dim": dim, "bytes": everything}
    items = {}
    if not args.no_torch:
        # As many copies as there are caches: nobody reads from the processor's cache what the other has to fetch.
        copies = [torch_forms(problem, True) for _ in range(count)]
        form = faster_form(tokens, heads, kv_heads, dim, last_query=True)
        items["torch"] = measure.in_turn([forms[form] for forms in copies])
    times = measure.take_turns(items, args.seconds / 3) if items else {}
    for name, share in (("dense", 1.0), ("tca", SHARE)):
        held = ours.call("fill_caches", problem.layer, ctypes.c_double(share), count)
        row[f"{name}_bytes"] = held
        calls = [lambda c=c: ours.call("decode", problem.layer, c) for c in range(count)]
        times |= measure.take_turns({name: measure.in_turn(calls)}, args.seconds / 3)
    row |= {f"{name}_us": statistics.median(t) * 1e6 for name, t in times.items()}
    row["spread_us"] = {name: [min(t) * 1e6, max(t) * 1e6] for name, t in times.items()}
    return row


def ratio(row, over, under):
    return f"{row[over] / row[under]:.2f}x" if over in row and under in row else ""


def prefill_lines(rows, peaks):
    for r in rows:
        tflops = r["flops"] / r["dense_ms"] * 1e-9
        yield (f"{r['tokens']:,}", r["heads"], r["head_dim"], measure.number(r.get("torch_ms")), measure.number(r["dense_ms"]),
               ratio(r, "torch_ms", "dense_ms"), f"{tflops * 1e3 / peaks['bf16_gflops']:.0%}",
               measure.number(r["select_ms"]), f"{r['select_ms'] / r['dense_ms']:.1%}", measure.number(r["tca_ms"]),
               ratio(r, "dense_ms", "tca_ms"), ratio(r, "torch_ms", "tca_ms"))


def decode_lines(rows, peaks):
    for r in rows:
        share = r["tca_bytes"] / r["tca_us"] * 1e-3 / peaks["read_gbytes"]
        yield (f"{r['tokens']:,}", r["heads"], r["head_dim"], measure.number(r.get("torch_us")), measure.number(r["dense_us"]),
               ratio(r, "torch_us", "dense_us"), measure.number(r["tca_us"]), ratio(r, "dense_us", "tca_us"),
               ratio(r, "torch_us", "tca_us"), f"{r['dense_bytes'] / r['dense_us'] * 1e-3 / peaks['read_gbytes']:.0%}",
               f"{share:.0%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="build/release/bench/libtca_cpu_shim.so", help="built by ./dev build")
    parser.add_argument("--lengths", type=measure.integers, help=f"tokens (default {','.join(map(str, LENGTHS))})")
    parser.add_argument("--heads", default=",".join(HEADS), help="query heads / KV heads (default %(default)s)")
    parser.add_argument("--head-dims", type=measure.integers, default=(64, 128), help="default 64,128")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=6, help="of a row, about (default %(default)s)")
    parser.add_argument("--no-torch", action="store_true", help="our own times alone")
    parser.add_argument("--skip-decode", action="store_true")
    parser.add_argument("--json", default="bench/results/cpu_attention.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    ours = Ours(args.library, args.threads)
    result = {"machine": measure.machine(args.threads) | {"torch": torch.__version__, "target": ours.target},
              "share": SHARE, "peaks": {}, "prefill": [], "decode": []}
    peaks = result["peaks"] = {"bf16_gflops": ours.call("bf16_peak"), "read_gbytes": ours.call("read_peak")}
    for dim in args.head_dims:
        check(ours, Problem(777, 8, 4, dim), f"head_dim {dim}")
    for heads_text in args.heads.split(","):
        heads, kv_heads = map(int, heads_text.split("/"))
        for dim in args.head_dims:
            for tokens in args.lengths or LENGTHS:
                if args.lengths is None and tokens > LONGEST.get(heads_text, math.inf):
                    continue
                measure.say(f"{tokens} tokens, heads {heads_text}, head_dim {dim}")
                result["prefill"].append(prefill_row(ours, args, tokens, heads, kv_heads, dim))
                if not args.skip_decode:
                    result["decode"].append(decode_row(ours, args, tokens, heads, kv_heads, dim))
                measure.write(args.json, result)
    ours.close()
    print(f"{ours.target}, {args.threads} threads: {peaks['bf16_gflops']:.0f} GFLOP/s bf16, {peaks['read_gbytes']:.1f} GB/s")
    measure.table(("prefill", "heads", "d", "torch ms", "dense ms", "torch/dense", "of peak", "select ms", "of dense",
                   "TCA ms", "dense/TCA", "torch/TCA"), prefill_lines(result["prefill"], peaks))
    measure.table(("decode", "heads", "d", "torch us", "dense us", "torch/dense", "TCA us", "dense/TCA", "torch/TCA",
                   "read, dense", "read, TCA"), decode_lines(result["decode"], peaks))


if __name__ == "__main__":
    main()
