#!/usr/bin/env python3
"""Attention of one layer on the GPU beside its rivals in PyTorch: cuDNN, FlashAttention, FlexAttention.

Every kernel is checked against double precision before anything is timed. bf16, causal, random data. Rivals get the
layout and the form of grouped heads that is fastest for them."""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import kernels  # noqa: E402
from measure import ROOT, Item, first_line, machine, peaks, table, time_items, working, write  # noqa: E402

STAGES = ("check", "prefill", "decode", "flex")
HEADS = ((32, 8, 128), (28, 4, 128))
LENGTHS = (1024, 2048, 4096, 8192, 32768, 131072)
FRACTIONS = (0.12, 0.20, 0.39)
BREAK_EVEN = 8192  # tokens: Backend::break_even_tokens of the cuda backend at these fractions
DECODE_LENGTHS = (8192, 32768, 131072)
LAUNCHES = 20  # of a CUDA graph in decoding
BACKENDS = {"cuDNN": SDPBackend.CUDNN_ATTENTION, "Flash": SDPBackend.FLASH_ATTENTION}
FLEX_LENGTH, FLEX_BLOCK, FLEX_SECONDS = 32768, 128, 60


def random_qkv(tokens, heads, kv_heads, dim):
    def new(n):
        return torch.randn(tokens, n, dim, dtype=torch.bfloat16, device="cuda")
    return new(heads), new(kv_heads), new(kv_heads)


# ---- correctness -----------------------------------------------------------------------------------------------------

def expect_close(what, out, expected):
    """bf16 outputs: rounding of the result and of the probabilities."""
    tolerance = (expected.abs() * 0.02 + expected.abs().mean(-1, keepdim=True) * 0.05).clamp_min(1e-6)
    worst = ((out.double() - expected).abs() / tolerance).max().item()
    print(f"{what}: {worst:.2f} of the tolerance")
    if not worst <= 1:
        sys.exit(f"attention.py: {what} is off by {worst:.2f} times the tolerance; nothing was timed")


def reference(q, k, v, visible):
    """q [n, Hq, d], k and v [L, Hk, d], visible [n, Hk, L]: float64 softmax attention."""
    g = q.shape[1] // k.shape[1]
    scores = torch.einsum("nhd,lhd->nhl", q.double(), k.double().repeat_interleave(g, 1)) / math.sqrt(q.shape[2])
    scores = scores.masked_fill(~visible.repeat_interleave(g, 1), -math.inf)
    return torch.einsum("nhl,lhd->nhd", scores.softmax(-1), v.double().repeat_interleave(g, 1))


def check_selection(step, q, k, fraction):
    """Scores against double precision, and how many tokens were kept."""
    tokens, heads, _ = q.shape
    kv_heads = k.shape[1]
    rows = torch.arange(tokens - kernels.PROBES, tokens, device="cuda")
    causal = torch.arange(tokens, device="cuda")[None] <= rows[:, None]
    g = heads // kv_heads
    scores = torch.einsum("nhd,lhd->nhl", q[-kernels.PROBES:].double(), k.double().repeat_interleave(g, 1))
    scores = (scores / math.sqrt(q.shape[2])).masked_fill(~causal[:, None], -math.inf).softmax(-1)
    scores = scores.sum(0).view(kv_heads, g, tokens).sum(1)
    scores = F.max_pool1d(scores[:, None], kernels.POOL, 1, kernels.POOL // 2)[:, 0]
    scores /= scores.sum(1, keepdim=True)
    error = ((step.scores.double() - scores).abs() / scores).max().item()
    counts = step.kept().sum(1)
    levels = kernels.rank_levels(tokens // kernels.BLOCK, fraction)
    least = sum((levels[i + 1] - levels[i]) * (kernels.BLOCK >> i) for i in range(7))
    if not error <= 0.02 or counts.min() < least or counts.max() > least + kernels.SINKS:
        sys.exit(f"attention.py: selection at {fraction}: scores off by {error:.3f}, {counts.tolist()} kept, {least} "
                 "expected; nothing was timed")
    print(f"selection at {fraction}: scores within {error:.1e}, {counts.tolist()} tokens kept")


def check(library):
    torch.manual_seed(1)
    tokens = 2048
    rows = torch.tensor([0, 1, 63, 255, 256, 257, 511, 1000, 1023, 1500, 1919, 2046, 2047], device="cuda")
    keys = torch.arange(tokens, device="cuda")
    for heads, kv_heads, dim in HEADS:
        q, k, v = random_qkv(tokens, heads, kv_heads, dim)
        causal = (keys[None] <= rows[:, None])[:, None].expand(-1, kv_heads, -1)
        dense = kernels.Prefill(library, q, k, v)
        dense.call("dense")
        expect_close(f"dense, heads {heads}/{kv_heads}", dense.out[rows], reference(q[rows], k, v, causal))
        for fraction in FRACTIONS:
            step = kernels.Prefill(library, q, k, v, fraction)
            step.call("sparse_step")
            check_selection(step, q, k, fraction)
            near = (keys[None] > rows[:, None] - kernels.WINDOW)[:, None]
            visible = causal & (near | step.kept()[None])
            expect_close(f"sparse at {fraction}, heads {heads}/{kv_heads}", step.out[rows],
                         reference(q[rows], k, v, visible))
    lengths, batch, buffers = [2048, 0, 1, 64, 65, 700, 1999, 300], 2, 2
    content = [[[torch.randn(2, n, 128, dtype=torch.bfloat16, device="cuda") for n in lengths] for _ in range(batch)]
               for _ in range(buffers)]
    caches = kernels.PagedDecode(library, lengths, batch, 32, 128, buffers, lambda b, s, h: content[b][s][h])
    for b in range(buffers):
        for _ in range(2):  # counters must be left as they were
            caches.out.fill_(math.nan)
            caches.call(b)
        expected = torch.zeros(batch, 32, 128, dtype=torch.float64, device="cuda")
        for s in range(batch):
            for h, n in enumerate(lengths):
                if n == 0:
                    continue
                k, v = content[b][s][h].double()
                q = caches.q[s, 4 * h:4 * h + 4].double()
                expected[s, 4 * h:4 * h + 4] = (q @ k.T / math.sqrt(128)).softmax(-1) @ v
        expect_close(f"decode over ragged pages, buffer {b}", caches.out, expected)


# ---- rivals ----------------------------------------------------------------------------------------------------------

def sdpa(name, forms, causal):
    """Items of one SDPA backend, one for each form (label, keys and values a launch, enable_gqa, query)."""
    items, why = [], []
    for label, sources, gqa, query in forms:
        def call(i, sources=sources, gqa=gqa, query=query):
            k, v = sources[i % len(sources)]
            return F.scaled_dot_product_attention(query, k, v, is_causal=causal, enable_gqa=gqa)
        item = Item(f"{name}, {label}", call, lambda: sdpa_kernel(BACKENDS[name]))
        reason = working(item)
        if reason is None:
            items.append(item)
        else:
            why.append(f"{item.name}: {reason}")
    return items, why


def fastest(times, name):
    """(milliseconds, form) of the best form of a rival, or (None, None)."""
    found = [(ms, key.split(", ", 1)[1]) for key, ms in times.items() if key.startswith(f"{name}, ")]
    return min(found, default=(None, None))


def show(ms, digits=3):
    return "-" if ms is None else f"{ms:.{digits}f}"


def ratio(rival, ours):
    return "-" if rival is None or ours is None else f"{rival / ours:.2f}x"


# ---- prefill ---------------------------------------------------------------------------------------------------------

def prefill_case(library, peak, tokens, heads, kv_heads, dim):
    q, k, v = random_qkv(tokens, heads, kv_heads, dim)
    sq, sk, sv = (x.transpose(0, 1)[None].contiguous() for x in (q, k, v))
    g = heads // kv_heads
    expanded = (sk.repeat_interleave(g, 1), sv.repeat_interleave(g, 1))
    forms = [("grouped", [(sk, sv)], True, sq), ("expanded", [expanded], False, sq)]
    items, skipped = [], []
    for name in BACKENDS:
        more, why = sdpa(name, forms, True)
        items += more
        skipped += why
    dense = kernels.Prefill(library, q, k, v)
    items.append(Item("dense", lambda _: dense.call("dense")))
    steps = {}
    for fraction in FRACTIONS:
        step = steps[fraction] = kernels.Prefill(library, q, k, v, fraction)
        for part in ("sparse_step", "select", "compact", "sparse"):
            items.append(Item(f"{part} {fraction}", lambda _, step=step, part=part: step.call(part)))
    for step in steps.values():
        step.call("sparse_step")  # the parts need a selection
    launches = max(1, min(20, 65536 // tokens))
    rounds = 5 if tokens > 65536 else 20
    times = time_items(items, launches, rounds, graph=tokens <= 8192)
    cudnn, cudnn_form = fastest(times, "cuDNN")
    flash, flash_form = fastest(times, "Flash")
    flop = 4 * dim * heads * tokens * (tokens + 1) // 2
    result = {"tokens": tokens, "heads": heads, "kv_heads": kv_heads, "head_dim": dim, "flop": flop,
              "bytes": 4 * tokens * (heads + kv_heads) * dim, "floor_ms": flop / peak["tflops"] / 1e9,
              "cudnn_ms": cudnn, "cudnn_form": cudnn_form, "flash_ms": flash, "flash_form": flash_form,
              "dense_ms": times["dense"], "not_run": skipped, "sparse": []}
    for fraction, step in steps.items():
        ours = times[f"sparse_step {fraction}"]
        auto = ours if tokens >= BREAK_EVEN else times["dense"]
        flop_sparse = 4 * dim * step.pairs()
        result["sparse"].append({
            "kept": fraction, "step_ms": ours, "select_ms": times[f"select {fraction}"],
            "compact_ms": times[f"compact {fraction}"], "attention_ms": times[f"sparse {fraction}"],
            "flop": flop_sparse, "density": flop_sparse / flop, "floor_ms": flop_sparse / peak["tflops"] / 1e9,
            "auto_ms": auto, "auto_over_cudnn": cudnn / auto if cudnn else None})
    return result


def prefill(library, peak, lengths):
    results = []
    for heads, kv_heads, dim in HEADS:
        cases = []
        for tokens in lengths:
            torch.cuda.empty_cache()
            cases.append(prefill_case(library, peak, tokens, heads, kv_heads, dim))
        results += cases
        shape = f"heads {heads}/{kv_heads}/{dim}"
        table(f"Prefill, {shape}, milliseconds (x: cuDNN's time over ours)",
              ["tokens", "GFLOP", "MB", "floor", "cuDNN", "form", "Flash", "ours dense", "TFLOP/s"]
              + [f"auto, {f:.0%} kept" for f in FRACTIONS],
              [[c["tokens"], f"{c['flop'] / 1e9:.1f}", f"{c['bytes'] / 1e6:.0f}", show(c["floor_ms"]),
                show(c["cudnn_ms"]), c["cudnn_form"] or "-", show(c["flash_ms"]),
                f"{show(c['dense_ms'])}, {ratio(c['cudnn_ms'], c['dense_ms'])}",
                f"{c['flop'] / c['dense_ms'] / 1e9:.0f}"]
               + [f"{show(s['auto_ms'])}, {ratio(c['cudnn_ms'], s['auto_ms'])}" for s in c["sparse"]] for c in cases])
        table(f"The sparse step, {shape}, milliseconds",
              ["tokens", "kept", "pairs", "GFLOP", "floor", "whole step", "select", "compact", "attention", "TFLOP/s",
               "select + compact / cuDNN", "cuDNN / step", "dense / step"],
              [[c["tokens"], f"{s['kept']:.0%}", f"{s['density']:.1%}", f"{s['flop'] / 1e9:.1f}", show(s["floor_ms"]),
                show(s["step_ms"]), show(s["select_ms"]), show(s["compact_ms"]), show(s["attention_ms"]),
                f"{s['flop'] / s['attention_ms'] / 1e9:.0f}",
                "-" if not c["cudnn_ms"] else f"{(s['select_ms'] + s['compact_ms']) / c['cudnn_ms']:.1%}",
                ratio(c["cudnn_ms"], s["step_ms"]), ratio(c["dense_ms"], s["step_ms"])]
               for c in cases for s in c["sparse"]])
    for reason in sorted({r for c in results for r in c["not_run"]}):
        print(f"not run: {reason}")
    return results


# ---- decode ----------------------------------------------------------------------------------------------------------

def ragged_shares(path):
    """Kept shares of the profile's heads at a budget of 0.2: one list of 8 a layer, each of its 4 heads twice."""
    profile = json.loads(pathlib.Path(path).read_text())
    for budget in profile["budgets"]:
        if budget["objective"] == "tail-risk" and budget["budget"] == 0.2:
            layers = [[h["kept_share"] for h in layer] for layer in budget["layers"]]
            return [[share for share in layer for _ in range(8 // len(layer))] for layer in layers]
    sys.exit(f"attention.py: {path} has no tail-risk budget 0.2")


def held(share, tokens):
    window = min(tokens, kernels.WINDOW)
    return window + round(share * (tokens - window)) if share < 1 else tokens


def num_buffers(size):
    """So many caches that none of them is still in the L2 cache (50 MB) when its turn comes."""
    return max(4, min(LAUNCHES, math.ceil(3e8 / max(1, size))))


def decode_rivals(tokens, batch, heads, kv_heads, dim):
    shape = (batch, kv_heads, tokens, dim)
    caches = [tuple(torch.randn(shape, dtype=torch.bfloat16, device="cuda") for _ in range(2))
              for _ in range(num_buffers(4 * math.prod(shape)))]
    q = torch.randn(batch, heads, 1, dim, dtype=torch.bfloat16, device="cuda")
    packed = q.view(batch, kv_heads, heads // kv_heads, dim)
    times, plain, skipped = {}, {}, []
    for name in BACKENDS:
        items, why = sdpa(name, [("grouped", caches, True, q), ("group as rows", caches, False, packed)], False)
        skipped += why
        times |= time_items(items, LAUNCHES, 20, graph=True)
        plain |= time_items(items, LAUNCHES, 20, graph=False)
    return times, plain, skipped


def decode_ours(library, lengths, batch, heads, dim):
    size = batch * sum(lengths) * dim * 4
    buffers = num_buffers(size)
    caches = kernels.PagedDecode(library, lengths, batch, heads, dim, buffers)
    item = Item("ours", lambda i: caches.call(i % buffers))
    return {"bytes": size, "graph_ms": time_items([item], LAUNCHES, 20, graph=True)["ours"],
            "plain_ms": time_items([item], LAUNCHES, 20, graph=False)["ours"]}


def mean_of(cases):
    return {key: sum(c[key] for c in cases) / len(cases) for key in cases[0]}


def decode(library, peak, lengths, profile):
    layers = ragged_shares(profile)
    heads, kv_heads, dim = HEADS[0]
    results, rows, skipped = [], [], []
    for tokens in lengths:
        spreads = [[held(share, tokens) for share in layer] for layer in layers]
        even = round(sum(map(sum, spreads)) / (len(spreads) * kv_heads))
        for batch in (1, 8):
            torch.cuda.empty_cache()
            times, plain, why = decode_rivals(tokens, batch, heads, kv_heads, dim)
            skipped += why
            torch.cuda.empty_cache()
            cudnn, cudnn_form = fastest(times, "cuDNN")
            flash, flash_form = fastest(times, "Flash")
            full = decode_ours(library, [tokens] * kv_heads, batch, heads, dim)
            evenly = decode_ours(library, [even] * kv_heads, batch, heads, dim)
            ragged = [decode_ours(library, spread, batch, heads, dim) for spread in spreads]
            case = {"tokens": tokens, "batch": batch, "kept_share": even / tokens, "cudnn_ms": cudnn,
                    "cudnn_form": cudnn_form, "cudnn_plain_ms": fastest(plain, "cuDNN")[0], "flash_ms": flash,
                    "flash_form": flash_form, "flash_plain_ms": fastest(plain, "Flash")[0], "full": full,
                    "even": evenly, "ragged": mean_of(ragged), "ragged_layers": ragged}
            results.append(case)
            rival = min((ms for ms in (cudnn, flash) if ms is not None), default=None)
            rival_plain = min((ms for ms in (case["cudnn_plain_ms"], case["flash_plain_ms"]) if ms is not None),
                              default=None)
            for label, ours in (("full", full), ("even", evenly), ("ragged", case["ragged"])):
                rows.append([tokens, batch, f"{label}, {ours['bytes'] / full['bytes']:.1%}",
                             f"{ours['bytes'] / 1e6:.1f}", f"{ours['bytes'] * heads / kv_heads / 1e9:.2f}",
                             f"{ours['bytes'] / peak['tbps'] / 1e6:.1f}",
                             *(show(ms and ms * 1e3, 1) for ms in (cudnn, flash, ours["graph_ms"])),
                             f"{ours['bytes'] / ours['graph_ms'] / 1e9:.2f}",
                             ratio(cudnn, ours["graph_ms"]), ratio(rival, ours["graph_ms"]),
                             *(show(ms and ms * 1e3, 1) for ms in (case["cudnn_plain_ms"], case["flash_plain_ms"],
                                                                  ours["plain_ms"])),
                             ratio(rival_plain, ours["plain_ms"])])
    table(f"Decode, one token, heads {heads}/{kv_heads}/{dim}, microseconds; CUDA graphs of {LAUNCHES} launches, then "
          "plain launches; rivals read everything",
          ["tokens", "batch", "ours keeps", "MB", "GFLOP", "floor", "cuDNN", "Flash", "ours", "TB/s", "cuDNN / ours",
           "best rival / ours", "plain: cuDNN", "Flash", "ours", "best rival / ours"], rows)
    for reason in sorted(set(skipped)):
        print(f"not run: {reason}")
    return results


# ---- FlexAttention ---------------------------------------------------------------------------------------------------

def flex_mask(kept, visible):
    """kept [Hq, n] blocks of 128 keys. A BlockMask of those and of the window; `visible` is its rule by pairs."""
    from torch.nn.attention.flex_attention import BlockMask
    heads, n = kept.shape
    row = torch.arange(n, device="cuda")[:, None]
    column = torch.arange(n, device="cuda")[None]
    # A window of two blocks: the block before a query's is seen whole, the one before that in part.
    full = (kept[:, None] & (column < row)) | (column == row - 1)
    partial = ((column == row) | (column == row - 2)) & ~full

    def lists(blocks):
        order = torch.argsort(blocks.to(torch.int8), dim=-1, descending=True, stable=True).to(torch.int32)
        return blocks.sum(-1).to(torch.int32)[None].contiguous(), order[None].contiguous()

    mask = BlockMask.from_kv_blocks(*lists(partial), *lists(full), BLOCK_SIZE=FLEX_BLOCK, mask_mod=visible,
                                    seq_lengths=(n * FLEX_BLOCK, n * FLEX_BLOCK))
    return mask, (full.sum().item() + partial.sum().item()) / (heads * n * (n + 1) / 2)


def flex_child(library, path):
    from torch.nn.attention.flex_attention import flex_attention
    heads, kv_heads, dim = HEADS[0]
    q, k, v = random_qkv(FLEX_LENGTH, heads, kv_heads, dim)
    sq, sk, sv = (x.transpose(0, 1)[None].contiguous() for x in (q, k, v))
    compiled, blocks, results = torch.compile(flex_attention), FLEX_LENGTH // FLEX_BLOCK, []
    chosen = torch.zeros(heads, blocks, dtype=torch.bool, device="cuda")  # one tensor, so that nothing compiles twice

    def seen(_b, h, q, k):
        return (k <= q) & ((q - k < kernels.WINDOW) | chosen[h, k // FLEX_BLOCK])

    for fraction in FRACTIONS:
        kept = torch.zeros(kv_heads, blocks, dtype=torch.bool, device="cuda")
        for h in range(kv_heads):
            kept[h, torch.randperm(blocks, device="cuda")[: round(fraction * blocks)]] = True
        chosen.copy_(kept.repeat_interleave(heads // kv_heads, 0))
        mask, density = flex_mask(chosen, seen)
        begin = time.monotonic()
        rival = Item("flex", lambda _, mask=mask: compiled(sq, sk, sv, block_mask=mask, enable_gqa=True))
        out = rival.call(0)
        torch.cuda.synchronize()
        seconds = time.monotonic() - begin
        rows = torch.tensor([5, 300, 9999, FLEX_LENGTH - 1], device="cuda")
        keys = torch.arange(FLEX_LENGTH, device="cuda")
        visible = ((keys <= rows[:, None]) & (keys > rows[:, None] - kernels.WINDOW))[:, None] | (
            (keys <= rows[:, None])[:, None] & kept.repeat_interleave(FLEX_BLOCK, 1)[None])
        expect_close(f"FlexAttention at {fraction}", out[0].transpose(0, 1)[rows], reference(q[rows], k, v, visible))
        step = kernels.Prefill(library, q, k, v, fraction)
        step.call("sparse_step")
        times = time_items([rival, Item("step", lambda _, step=step: step.call("sparse_step")),
                            Item("sparse", lambda _, step=step: step.call("sparse"))], 2, 20, graph=False)
        results.append({"kept": fraction, "flex_ms": times["flex"], "flex_blocks_density": density,
                        "compile_seconds": seconds, "step_ms": times["step"], "attention_ms": times["sparse"]})
    pathlib.Path(path).write_text(json.dumps(results))


def flex(arguments):
    """In a process of its own, because a compilation cannot be interrupted."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "flex.json"
        command = [sys.executable, __file__, "--library", arguments.library, "--flex-child", str(path)]
        try:
            done = subprocess.run(command, timeout=FLEX_SECONDS + 30, capture_output=True, text=True)
            if done.returncode != 0 or not path.exists():
                reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]
                print(f"\nFlexAttention was not measured: {reason}")
                return {"not_run": reason}
        except subprocess.TimeoutExpired:
            reason = f"not compiled and measured within {FLEX_SECONDS + 30} s"
            print(f"\nFlexAttention: {reason}")
            return {"not_run": reason}
        cases = json.loads(path.read_text())
    heads, kv_heads, dim = HEADS[0]
    table(f"FlexAttention, {FLEX_LENGTH} tokens, heads {heads}/{kv_heads}/{dim}, milliseconds; its blocks were chosen "
          "beforehand, ours are chosen in `whole step`",
          ["kept", "Flex", "its block density", "ours, attention alone", "whole step", "Flex / attention",
           "Flex / whole step", "compiled in s"],
          [[f"{c['kept']:.0%}", show(c["flex_ms"]), f"{c['flex_blocks_density']:.1%}", show(c["attention_ms"]),
            show(c["step_ms"]), ratio(c["flex_ms"], c["attention_ms"]), ratio(c["flex_ms"], c["step_ms"]),
            f"{c['compile_seconds']:.1f}"] for c in cases])
    return cases


def numbers(text):
    return tuple(int(n) for n in text.split(","))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", default=str(ROOT / "build/release/bench/libtca_gpu_shim.so"),
                        help="target tca_gpu_shim")
    parser.add_argument("--stages", default=",".join(STAGES), help="comma-separated, of: " + ", ".join(STAGES))
    parser.add_argument("--lengths", type=numbers, help="prompt lengths instead of the usual ones, for all stages")
    parser.add_argument("--profile", default=str(ROOT / "models/lookback-28m/profile.json"))
    parser.add_argument("--json", default=str(ROOT / "bench/results/gpu_attention.json"))
    parser.add_argument("--flex-child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    stages = arguments.stages.split(",")
    if unknown := set(stages) - set(STAGES):
        parser.error(f"--stages {','.join(sorted(unknown))}: expected some of {','.join(STAGES)}")
    if not torch.cuda.is_available():
        sys.exit("attention.py: no CUDA GPU, or a PyTorch without CUDA")
    if torch.cuda.get_device_capability()[0] != 9:
        sys.exit("attention.py: the kernels measured here are for compute capability 9.0 (Hopper)")
    torch.set_grad_enabled(False)
    library = kernels.Library(arguments.library)
    if arguments.flex_child:
        flex_child(library, arguments.flex_child)
        return
    begin = time.monotonic()
    if "check" in stages:
        check(library)
    result = {"machine": machine(), "peak": peaks()}
    peak = result["peak"]
    print(f"\n{result['machine']}\nmeasured peaks: {peak['tflops']:.0f} TFLOP/s bf16, {peak['tbps']:.2f} TB/s")
    stage = ""
    try:
        for stage in stages:
            if stage == "prefill":
                result["prefill"] = prefill(library, peak, arguments.lengths or LENGTHS)
            elif stage == "decode":
                result["decode"] = decode(library, peak, arguments.lengths or DECODE_LENGTHS, arguments.profile)
            elif stage == "flex":
                torch.cuda.empty_cache()
                result["flex"] = flex(arguments)
    except RuntimeError as error:
        result["failed"] = f"{stage}: {first_line(error)}"
        raise
    finally:
        result["clocks_after"] = machine()["clocks.sm"]
        result["seconds"] = time.monotonic() - begin
        write(arguments.json, result)


if __name__ == "__main__":
    main()
