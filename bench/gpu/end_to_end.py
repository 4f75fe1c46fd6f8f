#!/usr/bin/env python3
"""Whole models on the GPU: Transformers (SDPA) and tca, from prompt to decoding, on the shape of Llama-3.1-8B with
random weights and on lookback-28m. bf16. TTFT includes the first token's logits; decode speed counts the tokens of all
sequences of a batch."""
import argparse
import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

# A DynamicCache grows by a token at a time: fixed segments would go back to the driver again and again.
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
import torch  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from measure import ROOT, first_line, machine, table, write  # noqa: E402

STAGES = ("hf", "tca", "lookback")
LENGTHS = (8192, 32768, 131072)
DECODE_LENGTHS = (32768, 131072)
DECODE_TOKENS = 32
LLAMA = dict(vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
             num_attention_heads=32, num_key_value_heads=8, head_dim=128, max_position_embeddings=131072 + 4096,
             rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=False, attention_bias=False, mlp_bias=False)
RESERVE = 16 << 30  # bytes left for activations and the allocator when a cache is made larger


def free_memory():
    gc.collect()
    torch.cuda.empty_cache()


def random_llama():
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(1)
    config = LlamaConfig(**LLAMA)
    config._attn_implementation = "sdpa"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def saved_model(path):
    from transformers import AutoModelForCausalLM
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16, attn_implementation="sdpa").to("cuda").eval()


def timed(function):
    torch.cuda.synchronize()
    begin = time.perf_counter()
    result = function()
    torch.cuda.synchronize()
    return time.perf_counter() - begin, result


def read(model, ids):
    """(next tokens [1, 1], cache)."""
    out = model(ids, logits_to_keep=1, use_cache=True)
    return out.logits[:, -1:].argmax(-1), out.past_key_values


def decode(model, token, cache, steps):
    for _ in range(steps):
        out = model(token, past_key_values=cache, logits_to_keep=1, use_cache=True)
        token = out.logits[:, -1:].argmax(-1)
    return token


def cache_bytes(cache):
    return sum(t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values))


def widen(cache, batch):
    """Repeats a cache of one sequence layer by layer, so that one layer alone is held twice."""
    for layer in cache.layers:
        layer.keys = layer.keys.expand(batch, -1, -1, -1).contiguous()
        layer.values = layer.values.expand(batch, -1, -1, -1).contiguous()


def measure_model(model, lengths, decode_lengths, batches):
    """Rows of one model, and why the others are not there."""
    vocabulary, rows, skipped = model.config.vocab_size, [], []
    for tokens in lengths:
        ids = torch.randint(0, vocabulary, (1, tokens), device="cuda")
        token = cache = None
        try:
            free_memory()
            torch.cuda.reset_peak_memory_stats()
            if tokens <= 32768:
                read(model, ids)
            seconds = []
            for _ in range(1 if tokens > 32768 else 3):
                token = cache = None
                free_memory()
                elapsed, (token, cache) = timed(lambda: read(model, ids))
                seconds.append(elapsed)
            size = cache_bytes(cache)
            row = {"tokens": tokens, "first_token_seconds": statistics.median(seconds), "kv_bytes": size,
                   "peak_bytes": torch.cuda.max_memory_allocated(), "decode": {}}
            rows.append(row)
            print(f"Transformers, {tokens} tokens: {row['first_token_seconds']:.3f} s", flush=True)
            if tokens not in decode_lengths:
                continue
            for batch in batches:
                free_memory()
                available = torch.cuda.mem_get_info()[0] - RESERVE
                # A growing DynamicCache copies a layer at a time.
                fits = batch if batch == 1 else min(batch, 1 + available // size)
                if fits < batch:
                    skipped.append(f"{tokens} tokens, batch {batch}: needs {batch * size / 2**30:.0f} GiB of KV; "
                                   f"batch {fits} measured")
                if fits > 1:
                    widen(cache, fits)
                    token = token.expand(fits, 1).contiguous()
                decode(model, token, cache, 2)
                elapsed, _ = timed(lambda: decode(model, token, cache, DECODE_TOKENS))
                row["decode"][str(batch)] = {"batch": int(fits), "tokens_per_second": fits * DECODE_TOKENS / elapsed,
                                             "kv_bytes": cache_bytes(cache),
                                             "peak_bytes": torch.cuda.max_memory_allocated()}
                print(f"Transformers, {tokens} tokens, batch {fits}: {fits * DECODE_TOKENS / elapsed:.1f} tokens/s",
                      flush=True)
        except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
            skipped.append(f"{tokens} tokens: {first_line(error)}")
        finally:
            token = cache = None
    return {"rows": rows, "not_run": skipped}


def run_tca(program, options, seconds):
    """The JSON of `tca bench`, or {"error": why}."""
    command = [program, "bench", "--device", "cuda", "--json", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error), "command": command}
    try:
        result = json.loads(done.stdout)
    except json.JSONDecodeError:
        result = {"error": f"exit code {done.returncode}: {done.stderr.strip()[-400:]}"}
    if "error" in result:
        print(f"{' '.join(command)}: {result['error']}", flush=True)
    return result | {"command": command}


def tca_rows(arguments, model_options, lengths, decode_lengths):
    """{batch: {"rows": ..., "not_run": ...}}. At batch 8 every row is a run of its own, since a full cache may not fit."""
    runs = [("1", lengths, "full,tca")]
    runs += [("8", [n], mode) for n in lengths if n in decode_lengths for mode in ("full", "tca")]
    results = {}
    for batch, at, modes in runs:
        batched = ["--batch", batch] if batch != "1" else []
        run = run_tca(arguments.tca, [*model_options, "--ctx", ",".join(map(str, at)), "--attention", modes,
                                      "--decode", "64", *batched], arguments.timeout)
        result = results.setdefault(batch, {"rows": [], "not_run": [], "commands": []})
        result["rows"] += run.get("rows", [])
        result["commands"].append(" ".join(run["command"]))
        if "error" in run:
            result["not_run"].append({"command": result["commands"][-1], "error": run["error"]})
    return results


def compare(title, hf, tca):
    """Ratios are Transformers' cost over ours (time, bytes) or our speed over Transformers'."""
    theirs = {row["tokens"]: row for row in (hf or {}).get("rows", [])}
    found = {}
    for batch, result in tca.items():
        for row in result.get("rows", []):
            found.setdefault((row["ctx"], row["mode"]), {})[batch] = row
    lines, ratios = [], []

    def cell(ours, rival, better, digits):
        """(text, ratio) of one pair."""
        if ours is None:
            return "-", None
        if not rival:
            return f"{ours:.{digits}f}", None
        ratio = rival / ours if better == "less" else ours / rival
        return f"{ours:.{digits}f} / {rival:.{digits}f} = {ratio:.2f}x", ratio

    for (tokens, mode), by_batch in sorted(found.items()):
        rival = theirs.get(tokens, {})
        one, eight = by_batch.get("1"), by_batch.get("8")
        speeds = rival.get("decode", {})
        fitted = speeds.get("8", {}).get("batch", 8)
        cells = {
            "ttft": cell(one and one["first_token_seconds"], rival.get("first_token_seconds"), "less", 3),
            "decode_1": cell(one and one["decode_tokens_per_second"], speeds.get("1", {}).get("tokens_per_second"),
                             "more", 1),
            "decode_8": cell(eight and eight["decode_tokens_per_second"],
                             speeds.get("8", {}).get("tokens_per_second"), "more", 1),
            "kv_gib": cell(one and one["kv"]["bytes"] / 2**30, rival.get("kv_bytes", 0) / 2**30, "less", 3),
            "peak_gib": cell(one and one["memory"].get("gpu_peak_bytes", 0) / 2**30,
                             rival.get("peak_bytes", 0) / 2**30, "less", 1)}
        if fitted != 8 and cells["decode_8"][1] is not None:
            cells["decode_8"] = (f"{cells['decode_8'][0]} (Transformers: batch {fitted})", cells["decode_8"][1])
        lines.append([tokens, mode, *(text for text, _ in cells.values())])
        ratios.append({"tokens": tokens, "mode": mode} | {name: ratio for name, (_, ratio) in cells.items()})
    table(f"{title}: tca / Transformers = ratio in tca's favour",
          ["tokens", "attention", "TTFT s", "decode tokens/s, batch 1", "batch 8, all sequences", "KV GiB, batch 1",
           "peak GiB"], lines)
    for reason in (hf or {}).get("not_run", []):
        print(f"Transformers: {reason}")
    return ratios


def numbers(text):
    return tuple(int(n) for n in text.split(","))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tca", default=str(ROOT / "build/release/tca"), help="the program")
    parser.add_argument("--stages", default=",".join(STAGES), help="comma-separated, of: " + ", ".join(STAGES))
    parser.add_argument("--lengths", type=numbers, default=LENGTHS)
    parser.add_argument("--model", default=str(ROOT / "models/lookback-28m"), help="of the stage lookback")
    parser.add_argument("--timeout", type=int, default=150, help="seconds for one run of tca")
    parser.add_argument("--json", default=str(ROOT / "bench/results/gpu_end_to_end.json"))
    arguments = parser.parse_args()
    stages = arguments.stages.split(",")
    if unknown := set(stages) - set(STAGES):
        parser.error(f"--stages {','.join(sorted(unknown))}: expected some of {','.join(STAGES)}")
    if not torch.cuda.is_available():
        sys.exit("end_to_end.py: no CUDA GPU, or a PyTorch without CUDA")
    torch.set_grad_enabled(False)
    begin = time.monotonic()
    result = {"machine": machine()}
    path = pathlib.Path(arguments.json)
    earlier = json.loads(path.read_text()) if path.exists() else {}
    try:
        if "hf" in stages:
            result["hf"] = measure_model(random_llama(), arguments.lengths, DECODE_LENGTHS, (1, 8))
            free_memory()
        elif "hf" in earlier:
            result["hf"] = earlier["hf"]  # stages may run one by one
        if "tca" in stages:
            result["tca"] = tca_rows(arguments, ["--random", "llama-3.1-8b", "--keep", "0.2"], arguments.lengths, DECODE_LENGTHS)
            result["ratios"] = compare("Llama-3.1-8B's shape, random weights", result.get("hf"), result["tca"])
        if "lookback" in stages:
            config = json.loads((pathlib.Path(arguments.model) / "config.json").read_text())
            length = config["max_position_embeddings"] - 256  # the answer needs positions too
            model = saved_model(arguments.model)
            read(model, torch.zeros(1, 1024, dtype=torch.long, device="cuda"))
            hf = measure_model(model, [length], [length], (1, 8))
            del model
            free_memory()
            tca = tca_rows(arguments, ["--model", arguments.model], [length], [length])
            result["lookback"] = {"hf": hf, "tca": tca, "ratios": compare("lookback-28m", hf, tca)}
    finally:
        result["seconds"] = time.monotonic() - begin
        write(path, result)


if __name__ == "__main__":
    main()
