#!/usr/bin/env bash
# Runs every fuzz target of contracts over COUNT inputs: bash contract/fuzz/run.sh COUNT [TARGET...]
#
# As engine/fuzz/run.sh does, and by it, in a target folder of its own.
set -euo pipefail
FUZZ_CRATE="$(cd "$(dirname "$0")" && pwd)"
export FUZZ_CRATE CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/chronolith-fuzz}/contract"
exec bash "$FUZZ_CRATE/../../engine/fuzz/run.sh" "$@"
