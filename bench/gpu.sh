#!/usr/bin/env bash
# What is checked and measured on an NVIDIA GPU (Hopper): bench/gpu.sh help lists the stages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# TCA_BUILD_DIR: a build folder to use; one that is configured is taken as it is.
readonly build_dir=${TCA_BUILD_DIR:-build/release}
# TCA_RESULTS_DIR: where the figures go.
readonly results=${TCA_RESULTS_DIR:-bench/results}
readonly sanitizer_seconds=120
readonly sanitizer_filter='Table/*:TailScores.*:-LongContext.*'
jobs=$(nproc)
readonly jobs
PATH=$PATH:/usr/local/cuda/bin

say() { printf '==> %s\n' "$*"; }
die() {
  printf 'gpu.sh: %s\n' "$*" >&2
  exit 1
}

help() {
  cat <<'TEXT'
usage: bench/gpu.sh [STAGE...]      (default: build test sanitize kernels e2e)
  build      configure and build what the other stages need
  test       the tests that run on the GPU
  sanitize   memcheck and racecheck over the kernels
  kernels    attention of one layer beside cuDNN, FlashAttention and FlexAttention
  e2e        whole models beside Transformers
Environment: TCA_BUILD_DIR (default build/release), TCA_RESULTS_DIR (default bench/results), CMAKE_PREFIX_PATH.
TEXT
}

build() {
  if [[ ! -f $build_dir/CMakeCache.txt ]]; then
    cmake -S . -B "$build_dir" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTCA_CUDA=ON -DTCA_DEVELOPER_MODE=ON >/dev/null ||
      die "configuring $build_dir failed (see above)"
  fi
  cmake --build "$build_dir" --parallel "$jobs" --target \
    tca_cli tca_gpu_shim cuda_test backend_test cuda_model_test cuda_session_test || die "building failed (see above)"
}

# backend_test holds every backend there is against the reference, the GPU's among them.
tests() {
  local failed=0 program
  for program in cuda_test cuda_model_test cuda_session_test backend_test; do
    say "$program"
    "$build_dir/tests/$program" --gtest_brief=1 || failed=1
  done
  ((failed == 0)) || die "tests failed (see above)"
}

# sanitized TOOL PROGRAM FILTER. A run that takes too long is stopped, and counts for what it found until then.
sanitized() {
  local log=$build_dir/sanitizer-$1-$2.log status=0
  say "compute-sanitizer --tool $1: $2 $3"
  timeout "$sanitizer_seconds" compute-sanitizer --tool "$1" --error-exitcode 1 --print-limit 20 \
    "$build_dir/tests/$2" --gtest_brief=1 --gtest_filter="$3" >"$log" 2>&1 || status=$?
  tail -n 40 "$log"
  ((status == 124)) || return "$status"
  say "stopped after $sanitizer_seconds s"
  ! grep -qE '^=+ (Error|Invalid|Misaligned|Out-of-range|Program hit|Warning: Race|Potential)|FAILED' "$log"
}

# Long contexts and random sweeps take minutes under the tools; every kernel also runs in the cases that are left.
sanitize() {
  command -v compute-sanitizer >/dev/null || die "no compute-sanitizer in PATH: install the CUDA toolkit"
  local failed=0 tool
  for tool in memcheck racecheck; do
    sanitized "$tool" cuda_test '-StreamOrderTest.*' || failed=1
    sanitized "$tool" backend_test "$sanitizer_filter" || failed=1
  done
  ((failed == 0)) || die "compute-sanitizer found errors (see above)"
}

kernels() {
  python3 bench/gpu/attention.py --library "$build_dir/bench/libtca_gpu_shim.so" --json "$results/gpu_attention.json"
}

e2e() {
  python3 bench/gpu/end_to_end.py --tca "$build_dir/tca" --json "$results/gpu_end_to_end.json"
}

(($#)) || set -- build test sanitize kernels e2e
for stage in "$@"; do
  case $stage in
    build | test | sanitize | kernels | e2e | help) ;;
    *) die "no stage '$stage' (bench/gpu.sh help lists them)" ;;
  esac
done
for stage in "$@"; do
  say "$stage"
  if [[ $stage == test ]]; then stage=tests; fi
  "$stage"
done
