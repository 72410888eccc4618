#!/usr/bin/env bash
# What the kernels read and write, looked at by valgrind, with debug assertions on: their own tests, then
# training steps of W1 in batches that fill no block of rows, in f32 and with rounded inputs.
#
# valgrind knows neither AVX-512 nor AMX and tells the program so: it is the kernels of AVX2 that run, on
# whatever processor has those. Left out are tests that execute AMX by an emulator, whose handler of a
# signal changes where the program goes on; valgrind does not follow it.
set -euo pipefail
cd "$(dirname "$0")/.."

memcheck="valgrind --tool=memcheck --quiet --error-exitcode=1"
export RAYON_NUM_THREADS=2

CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$memcheck" \
  cargo test --locked -p mtl-nn --lib kernel:: -- \
  --test-threads 1 --skip emulator --skip packed::products

cargo build --locked -p mtl-benches --bin w1
for model in shared_bottom mmoe ple_2 esm2; do
  for batch in 1 257; do
    # Nine steps of each; the times that it prints are valgrind's.
    $memcheck "${CARGO_TARGET_DIR:-target}/debug/w1" \
      --model "$model" --batch "$batch" --table-rows 100 --steps 1 \
      --precision f32 --precision bf16 > /dev/null
    echo "$model, $batch rows: nothing to say"
  done
done
