#!/usr/bin/env python3
"""lookback-28m end to end on the CPU: tca with full attention and with TCA, beside Transformers and llama.cpp.

Time to first token and greedy decoding after prompts of several lengths; every figure comes from a process of its own
on the same threads. The process may be pinned from outside (taskset); --threads defaults to what it may use.
Transformers runs under --python; llama.cpp's llama-bench reads what bench/cpu/to_gguf.py writes. A rival that is not
there is left out."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/lookback-28m"
LENGTHS = (1024, 2048, 8192, 32768, 130816)
DECODE = 64
TRANSFORMERS = """
import json, sys, time, torch, transformers
model_dir, tokens, decode, threads = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
model = transformers.AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.bfloat16, attn_implementation="sdpa")
ids = torch.tensor([[(i * 7919) % 8000 + 64 for i in range(tokens)]])
with torch.inference_mode():
    model(ids[:, :256], logits_to_keep=1)
    cache = transformers.DynamicCache(config=model.config)
    start = time.perf_counter()
    step = model(ids, past_key_values=cache, logits_to_keep=1).logits[:, -1].argmax(-1, keepdim=True)
    first = time.perf_counter() - start
    model(step, past_key_values=cache)
    start = time.perf_counter()
    for _ in range(decode):
        step = model(step, past_key_values=cache).logits[:, -1].argmax(-1, keepdim=True)
    print(json.dumps({"first_token_seconds": first, "decode_tokens_per_second": decode / (time.perf_counter() - start),
                      "version": transformers.__version__, "torch": torch.__version__}))
"""


def run(command, seconds):
    """Standard output, or None and why not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return None, f"took more than {seconds:.0f} s"
    except OSError as error:
        return None, str(error)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return None, f"exit code {done.returncode}: {lines[-1][:200] if lines else ''}"
    return done.stdout, None


def tca(args, tokens, mode):
    text, why = run([args.tca, "bench", "--device", "cpu", "--ctx", str(tokens), "--attention", mode, "--decode",
                     str(DECODE), "--threads", str(args.threads), "--json"], args.seconds_per_row)
    if text is None:
        return {"failed": why}
    row = json.loads(text)["rows"][0]
    return {"first_token_seconds": row["first_token_seconds"],
            "decode_tokens_per_second": row["decode_tokens_per_second"], "kv_bytes": row["kv"]["bytes"],
            "peak_bytes": row["memory"]["peak_bytes"]}


def transformers(args, tokens):
    text, why = run([args.python, "-c", TRANSFORMERS, str(MODEL), str(tokens), str(DECODE), str(args.threads)],
                    args.seconds_per_row)
    return {"failed": why} if text is None else json.loads(text.splitlines()[-1])


def llama(args, tokens, flash):
    command = [args.llama_bench, "-m", args.gguf, "-t", str(args.threads), "-fa", str(flash), "-ub", args.ubatch, "-b",
               "2048", "-ngl", "0", "-r", "1", "-o", "json"]
    prompt, why = run([*command, "-p", str(tokens), "-n", "0"], args.seconds_per_row)
    if prompt is None:
        return {"failed": why}
    rows = json.loads(prompt)
    best = min(rows, key=lambda row: row["avg_ns"])
    result = {"first_token_seconds": best["avg_ns"] * 1e-9, "ubatch": best["n_ubatch"], "build": best["build_commit"]}
    text, why = run([*command, "-p", "0", "-n", str(DECODE), "-d", str(tokens), "-ub", str(best["n_ubatch"])],
                    args.seconds_per_row)
    if text is not None:
        result["decode_tokens_per_second"] = json.loads(text)[0]["avg_ts"]
    return result


def rivals(args):
    """{name: call(tokens)}."""
    found = {"tca, full": lambda n: tca(args, n, "full"), "tca, TCA": lambda n: tca(args, n, "tca")}
    if run([args.python, "-c", "import torch, transformers"], 120)[0] is None:
        measure.say(f"{args.python} has no Transformers: left out")
    else:
        found["Transformers"] = lambda n: transformers(args, n)
    if args.llama_bench is None:
        measure.say("no --llama-bench: llama.cpp is left out")
    else:
        found["llama.cpp"] = lambda n: llama(args, n, 0)
        found["llama.cpp, flash"] = lambda n: llama(args, n, 1)
    return found


def measure_row(name, call, tokens, before, limit):
    """before: the row of the length before, for guessing."""
    if before is not None and "first_token_seconds" in before:
        guess = before["first_token_seconds"] * (tokens / before["tokens"]) ** 2
        if guess > limit:
            return {"failed": f"left out: would take some {guess:.0f} s"}
    elif before is not None:
        return {"failed": "left out after the length before"}
    measure.say(f"{tokens} tokens: {name}")
    return call(tokens)


def table_lines(rows):
    for tokens in sorted({row["tokens"] for row in rows}):
        of_length = [row for row in rows if row["tokens"] == tokens]
        tca_row = next((row for row in of_length if row["name"] == "tca, TCA"), {})
        for row in of_length:
            ratios = [row["first_token_seconds"] / tca_row["first_token_seconds"]
                      if "first_token_seconds" in row and "first_token_seconds" in tca_row else None,
                      tca_row["decode_tokens_per_second"] / row["decode_tokens_per_second"]
                      if "decode_tokens_per_second" in row and "decode_tokens_per_second" in tca_row else None]
            yield (f"{tokens:,}", row["name"], measure.number(row.get("first_token_seconds")),
                   *(f"{r:.2f}x" if r else "" for r in ratios[:1]), measure.number(row.get("decode_tokens_per_second")),
                   *(f"{r:.2f}x" if r else "" for r in ratios[1:]), row.get("failed", ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tca", default="build/release/tca")
    parser.add_argument("--python", default=sys.executable, help="one that has torch and transformers")
    parser.add_argument("--llama-bench", help="llama.cpp's program of that name")
    parser.add_argument("--gguf", help="what to_gguf.py wrote (default: written to a temporary file)")
    parser.add_argument("--ubatch", default="512,2048", help="llama.cpp's n_ubatch: the faster counts")
    parser.add_argument("--lengths", type=measure.integers, default=LENGTHS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds-per-row", type=float, default=900)
    parser.add_argument("--json", default="bench/results/cpu_end_to_end.json")
    args = parser.parse_args()
    temporary = tempfile.TemporaryDirectory()
    if args.llama_bench is not None and args.gguf is None:
        args.gguf = str(pathlib.Path(temporary.name) / "model.gguf")
        text, why = run([args.python, str(ROOT / "bench/cpu/to_gguf.py"), args.gguf], 120)
        if text is None:
            measure.say(f"llama.cpp is left out: to_gguf.py: {why}")
            args.llama_bench = None
    result = {"machine": measure.machine(args.threads), "decode": DECODE, "rows": []}
    last, calls = {}, rivals(args)
    for tokens in args.lengths:
        for name, call in calls.items():
            row = {"name": name, "tokens": tokens} | measure_row(name, call, tokens, last.get(name), args.seconds_per_row)
            result["rows"].append(row)
            last[name] = row
            measure.write(args.json, result)
    measure.table(("tokens", "", "first token s", "/ TCA", "decode tokens/s", "TCA /", ""), table_lines(result["rows"]))


if __name__ == "__main__":
    main()
