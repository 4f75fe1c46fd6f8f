#!/usr/bin/env python3
"""lookback-28m end to end on the CPU: tca with full attention and with TCA, beside Transformers and llama.cpp.

Time to first token and greedy decoding after prompts of several lengths, on the same threads; every row comes from a
process of its own, whose peak memory it names. The process may be pinned from outside (taskset); --threads defaults to
what it may use. Transformers runs under --python; llama.cpp's llama-bench reads what to_gguf.py writes. A rival that is
not there is left out. Prompts of tca are text, the others' are random tokens: only TCA's time depends on which.

--check compares what they write instead: the greedy continuation of four texts of about 1,024 tokens."""
import argparse
import os
import sys
import tempfile

import measure
import same_model
from process import ROOT, Failed
from rivals import all_of

LENGTHS = (1024, 2048, 8192, 32768, 130816)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tca", default=str(ROOT / "build/release/tca"), help="the program")
    parser.add_argument("--python", default=sys.executable, help="one that has torch, transformers and gguf")
    parser.add_argument("--llama-bench", help="llama.cpp's program of that name")
    parser.add_argument("--gguf", help="what to_gguf.py wrote (default: written for this run)")
    parser.add_argument("--model", default=str(ROOT / "models/lookback-28m"))
    parser.add_argument("--lengths", type=measure.integers, default=LENGTHS)
    parser.add_argument("--decode", type=int, default=64, help="tokens after each prompt")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds-per-row", type=float, default=900,
                        help="a prompt that would take longer, by the square of the length before, is left out")
    parser.add_argument("--check", action="store_true", help="compare the answers, measure nothing")
    parser.add_argument("--json", default=str(ROOT / "bench/results/cpu_end_to_end.json"))
    args = parser.parse_args()
    # Programs run elsewhere than here.
    args.tca, args.model, args.python = (os.path.abspath(path) if os.sep in path else path
                                         for path in (args.tca, args.model, args.python))
    return args


def present(args):
    rivals = []
    for rival in all_of(args):
        why = rival.missing()
        if why is None:
            rivals.append(rival)
        else:
            measure.say(f"{rival.name} is left out: {why}")
    return rivals


def measure_rows(args, rivals):
    result = {"machine": measure.machine(args.threads), "versions": {}, "decode": args.decode, "rows": []}
    stopped = set()
    for tokens in args.lengths:
        for rival in rivals:
            row = {"name": rival.name, "tokens": tokens}
            if rival.name in stopped:
                row["failed"] = "left out, as the length before"
            else:
                measure.say(f"{tokens} tokens: {rival.name}")
                rival.others = 0
                try:
                    row |= rival.row(tokens)
                except Failed as error:
                    row["failed"] = str(error)
                    stopped.add(rival.name)
                row["others_cores"] = round(rival.others, 2)
            result["rows"].append(row)
            result["versions"] |= rival.versions
            measure.write(args.json, result)
    return result


def ratio(numerator, denominator):
    return f"{numerator / denominator:.2f}x" if numerator and denominator else ""


def print_table(rows):
    """Ratios are in favour of TCA. Others' cores are what other programs kept busy at most during a run of the row."""
    lines = []
    for row in rows:
        tca = next((other for other in rows if other["tokens"] == row["tokens"] and other["name"] == "tca, tca"), {})
        seconds, rate = row.get("first_token_seconds"), row.get("decode_tokens_per_second")
        peak = row.get("peak_bytes")
        lines.append((f"{row['tokens']:,}", row["name"], measure.number(seconds),
                      ratio(seconds, tca.get("first_token_seconds")), measure.number(rate),
                      ratio(tca.get("decode_tokens_per_second"), rate), measure.number(peak and peak / 2 ** 20),
                      row.get("others_cores", ""), row.get("failed", "")))
    measure.table(("tokens", "", "first token s", "/ TCA", "decode tokens/s", "TCA /", "peak MiB", "others' cores", ""),
                  lines)


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        args.gguf = os.path.abspath(args.gguf or os.path.join(folder, "model.gguf"))
        if args.llama_bench is not None:
            args.llama_bench = os.path.abspath(args.llama_bench)
        rivals = present(args)
        if args.check:
            sys.exit(same_model.check(args, [rival.name for rival in rivals], folder))
        print_table(measure_rows(args, rivals)["rows"])


if __name__ == "__main__":
    main()
