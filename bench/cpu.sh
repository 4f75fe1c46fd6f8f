#!/usr/bin/env bash
# What is measured on a CPU beside its rivals: bench/cpu.sh help lists the stages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# TCA_RESULTS_DIR: where the figures go.
readonly results=${TCA_RESULTS_DIR:-bench/results}
readonly venv=.venv-bench

say() { printf '==> %s\n' "$*"; }
die() {
  printf 'cpu.sh: %s\n' "$*" >&2
  exit 1
}

help() {
  cat <<'TEXT'
usage: bench/cpu.sh [STAGE...]      (default: build attention e2e parts figure)
  setup      Python packages of the rivals into .venv-bench (torch, transformers, gguf)
  build      ./dev build
  attention  attention of one layer beside PyTorch
  e2e        lookback-28m beside Transformers and llama.cpp (LLAMA_BENCH=path of llama.cpp's llama-bench)
  parts      where the time goes: tile kernels, matrix products, break-even lengths
  figure     docs/figures/cpu.svg from the results
All take the threads they may run on: pin with taskset for fewer. Environment: PYTHON (default .venv-bench's, else
python3), LLAMA_BENCH, TCA_RESULTS_DIR (default bench/results).
TEXT
}

setup() {
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet -r bench/cpu/requirements.txt
}

build() { ./dev build; }

python() {
  if [[ -n ${PYTHON:-} ]]; then
    "$PYTHON" "$@"
  elif [[ -x $venv/bin/python ]]; then
    "$venv/bin/python" "$@"
  else
    python3 "$@"
  fi
}

attention() { python bench/cpu/attention.py --json "$results/cpu_attention.json"; }

e2e() { python bench/cpu/end_to_end.py ${LLAMA_BENCH:+--llama-bench "$LLAMA_BENCH"} --json "$results/cpu_end_to_end.json"; }

parts() {
  build/release/tca_bench_tiles
  build/release/tca_bench_products
  build/release/tca_bench_break_even
}

figure() { python bench/cpu/figure.py; }

(($#)) || set -- build attention e2e parts figure
for stage in "$@"; do
  case $stage in
    setup | build | attention | e2e | parts | figure | help) ;;
    *) die "no stage '$stage' (bench/cpu.sh help lists them)" ;;
  esac
done
for stage in "$@"; do
  if [[ $stage != help ]]; then say "$stage"; fi
  "$stage"
done
