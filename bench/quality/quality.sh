#!/usr/bin/env bash
# The quality table of docs/benchmarks.md: answers to planted facts in 32K-token documents, asked after tokens were dropped.
# usage: bench/quality/quality.sh [DOCUMENTS [FACTS]]      writes bench/results/quality_32k.json; 72 prompts by default,
# about 12 minutes on 2 cores
set -euo pipefail
cd "$(dirname "$0")/../.."
build/release/tca eval --text examples/data/michael-armstrong.txt --ctx 32768 --documents "${1:-6}" --questions "${2:-12}" \
  --methods full,tca:0.2,tca:0.1,paper:0.39,window:0.39 --json > bench/results/quality_32k.json.tmp
python3 - "$(lscpu | sed -n 's/^Model name: *//p'), $(nproc) cores" "$(date +%F)" "bench/quality/quality.sh ${1:-6} ${2:-12}" <<'PY'
import json, os, sys
path = "bench/results/quality_32k.json"
result = json.load(open(path + ".tmp"))
result["machine"], result["date"], result["command_line"] = sys.argv[1:]
with open(path, "w") as out:
    json.dump(result, out, indent=1)
os.remove(path + ".tmp")
PY
