#!/usr/bin/env bash
# What there is to know of a CUDA machine, in one run: what its libraries do, whether all tests pass, how fast it is.
#
#   bash benchmarks/on_a_gpu.sh                       # everything, about 25 minutes, at most 42
#   bash benchmarks/on_a_gpu.sh probe tests           # some of: probe tests profile first quick bench tf32 stacks
#   OUT=folder PYTHON=/path/to/python3.12 MINUTES=8 bash benchmarks/on_a_gpu.sh
#
# It uses the packages of the environment that it runs in: CuPy, torch, JAX, optax, pytest with xdist, scikit-learn. Each
# part has its time, writes to a log of its own as it goes on, and may fail without stopping the others; a table comes
# last, and the exit code is 1 if any failed. Without a CUDA device it runs to its end on the CPU, and says what it left
# out. OUT is a folder for results, from where it is called; MINUTES are those of the longest benchmark.
set -uo pipefail

ALL="probe tests profile first quick bench tf32 stacks"
PARTS="${*:-$ALL}"
for one in $PARTS; do
  case "$one" in -h | --help) sed -n 's/^# \{0,1\}//p' "$0" | sed -n '2,/^OUT/p' && exit 0 ;; esac
  case " $ALL " in *" $one "*) ;; *) echo "no part $one; accepted: $ALL" >&2 && exit 2 ;; esac
done
OUT="${OUT:-gpu-results}" PYTHON="${PYTHON:-python3}" MINUTES="${MINUTES:-8}"
SUITE_SECONDS="${SUITE_SECONDS:-540}" # for each of the test suites, which run side by side
BENCH="${BENCH:-}"                    # more arguments of gpu.py, such as: --contender cupy-replayed torch-module
BENCH_SECONDS="$(awk -v m="$MINUTES" 'BEGIN { if (m !~ /^[0-9]*\.?[0-9]+$/) exit 1; print int(60 * m + 120) }')" ||
  { echo "MINUTES is $MINUTES; accepted: a number" >&2 && exit 2; }
mkdir -p "$OUT" && OUT="$(cd "$OUT" && pwd)" || exit 2
command -v "$PYTHON" >/dev/null || { echo "PYTHON is $PYTHON; accepted: an interpreter" >&2 && exit 2; }
case "$PYTHON" in /*) ;; */*) PYTHON="$PWD/$PYTHON" ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
CORES="$(env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)" # nproc would follow that variable
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export XLA_PYTHON_CLIENT_PREALLOCATE=false
: >"$OUT/summary.txt"

if nvidia-smi -L >/dev/null 2>&1; then DEVICE=cuda; else DEVICE=cpu; fi
echo "device: $DEVICE; $CORES cores; $("$PYTHON" --version)"

part() { # part NAME SECONDS COMMAND...: what it printed goes to NAME.log, how it ended to summary.txt
  local name="$1" seconds="$2" start="$SECONDS" code last
  shift 2
  timeout --signal=INT --kill-after=15 "$seconds" "$@" >"$OUT/$name.log" 2>&1
  code=$?
  last="$(grep -v '^ *$' "$OUT/$name.log" | tail -n 1 | cut -c 1-100)"
  printf '%-24s code %3d  %4d s  %s\n' "$name" "$code" "$((SECONDS - start))" "$last" >>"$OUT/summary.txt"
}

left_out() { # left_out NAME...
  local name
  for name in "$@"; do rm -f "$OUT/$name.log"; done # of an earlier run
  printf '%-24s not run: no CUDA device\n' "$@" >>"$OUT/summary.txt"
}

suite() { # suite NAME WORKERS [VARIABLE=VALUE] ARGUMENTS...: tests, side by side with those of other suites
  local name="$1" workers="$2" setting=""
  shift 2
  case "$1" in *=*) setting="$1" && shift ;; esac
  # other plugins of the environment may warn, and a warning is an error here
  part "tests-$name" "$SUITE_SECONDS" env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 ${setting:+"$setting"} \
    "$PYTHON" -m pytest -p xdist.plugin -p no:cacheprovider -q --no-header --tb=short --durations 5 \
    -n "$workers" --dist worksteal "$@" &
}

tests() {
  local few=$(((CORES + 7) / 8)) more=$(((CORES + 4) / 5)) half=$(((CORES + 1) / 2)) checks mode
  checks="tests/estimators/test_estimator_checks.py -k array_api --backend numpy"
  if [ "$DEVICE" = cpu ]; then
    left_out tests-{cupy,torch}{,-fused,-eager} tests-jax tests-estimator-checks
    suite collected 1 --collect-only --gpu
  else
    suite jax "$half" --gpu --backend jax
    suite cupy "$more" --backend cupy # replayed, which is the default
    suite torch "$few" --gpu --backend torch
    for mode in fused eager; do
      suite "cupy-$mode" "$more" "PORTABLE_NN_CUDA_STEPS=$mode" --backend cupy
      suite "torch-$mode" "$few" "PORTABLE_NN_CUDA_STEPS=$mode" --gpu --backend torch
    done
    # shellcheck disable=SC2086  # words, on purpose
    suite estimator-checks "$few" SCIPY_ARRAY_API=1 $checks
  fi
  wait
}

measured() { # measured NAME SECONDS SCRIPT ARGUMENTS...: a script of this folder, with its results in NAME.jsonl
  local name="$1" seconds="$2" script="$3"
  shift 3
  part "$name" "$seconds" "$PYTHON" "benchmarks/$script" --device "$DEVICE" --out "$OUT/$name.jsonl" "$@"
}

on_cuda() { # on_cuda NAME COMMAND...: the command where there is a device
  local name="$1"
  shift
  if [ "$DEVICE" = cuda ]; then "$@"; else left_out "$name"; fi
}

for one in $PARTS; do
  workers="$OUT/$one-workers.log"
  # shellcheck disable=SC2086  # words, on purpose
  case "$one" in
  probe) part probe 120 "$PYTHON" benchmarks/gpu_probe.py ;;
  tests) tests ;;
  profile) on_cuda profile part profile 240 "$PYTHON" benchmarks/gpu_profile.py ;;
  first) measured first 240 gpu_first_fit.py ;;
  quick) measured quick 240 gpu.py --quick --minutes 2 --log "$workers" $BENCH ;;
  bench) on_cuda bench measured bench "$BENCH_SECONDS" gpu.py --minutes "$MINUTES" --log "$workers" $BENCH ;;
  tf32) on_cuda tf32 measured tf32 240 gpu.py --tf32 --net huge wide --minutes 1 --log "$workers" $BENCH ;;
  stacks)
    if [ "$DEVICE" = cuda ]; then few=""; else few="--quick"; fi
    measured stacks 300 gpu_stacks.py $few --log "$workers"
    ;;
  esac
done

for one in $PARTS; do
  if [ "$one" != tests ] && [ -s "$OUT/$one.log" ]; then printf '\n== %s\n' "$one" && tail -n 90 "$OUT/$one.log"; fi
done
printf '\n== summary\n' && cat "$OUT/summary.txt"
! grep -qE ' code +[1-9]' "$OUT/summary.txt"
