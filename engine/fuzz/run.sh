#!/usr/bin/env bash
# Runs every fuzz target over COUNT inputs: bash engine/fuzz/run.sh COUNT [TARGET...]
#
# Needs cargo and a C++ compiler, not cargo-fuzz: the coverage that libFuzzer is guided by comes
# from flags that stable Rust takes with RUSTC_BOOTSTRAP. FUZZ_SEED (1) chooses the inputs;
# FUZZ_SECONDS ends each target after so long, whatever it has run until then; FUZZ_TIMEOUT (25) is
# how many seconds an input may take, by the clock: more where the machine has other work to do.
set -euo pipefail
cd "${FUZZ_CRATE:-$(dirname "$0")}"

count="${1:?usage: run.sh COUNT [TARGET...]}"
shift
folder="${CARGO_TARGET_DIR:-$HOME/.cache/chronolith-fuzz}/fuzz"
host=$(rustc -vV | sed -n 's/^host: //p')
bins="$folder/$host/release"
jobs=$(nproc)

command -v c++ >/dev/null || { apt-get update && apt-get install -y g++; }

flags=(--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares)
# Only what is built for the named target gets the flags; build scripts do not.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR="$folder" \
    cargo build --locked --release --quiet --bins --target "$host"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bins/seeds" "$work/corpus"
mkdir -p "$folder/crashes"

# Runs one target; its line, or what it found, goes to standard output.
fuzz() {
    local name=$1 log="$work/$1.log" corpus="$work/corpus/$1"
    mkdir -p "$corpus"
    if RUST_BACKTRACE=0 "$bins/$name" -runs="$count" -max_len=4096 -seed="${FUZZ_SEED:-1}" \
        -max_total_time="${FUZZ_SECONDS:-0}" \
        -timeout="${FUZZ_TIMEOUT:-25}" -rss_limit_mb=4096 -print_final_stats=1 -close_fd_mask=0 \
        -artifact_prefix="$folder/crashes/$name-" "$corpus" >"$log" 2>&1; then
        # libFuzzer counts the seeds among the inputs; it may run a few more of them than COUNT.
        local runs
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "$name: $runs inputs, ok"
    else
        echo "$name: FAILED"
        grep -a -E 'panicked|^[a-z].*(bytes were|left|right)|ERROR: libFuzzer|Test unit written' \
            -A 1 "$log" || tail -n 20 "$log"
        echo "  again: $bins/$name $folder/crashes/$name-..."
        touch "$work/failed"
    fi
}

if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(sed -n 's|^path = "fuzz_targets/\(.*\)\.rs"|\1|p' Cargo.toml)
fi
for name in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    fuzz "$name" &
done
wait
if [ -e "$work/failed" ]; then
    exit 1
fi
