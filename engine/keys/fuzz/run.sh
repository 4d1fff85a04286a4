#!/usr/bin/env bash
# Runs every fuzz target of keys over COUNT inputs: bash engine/keys/fuzz/run.sh COUNT [TARGET...]
#
# As engine/fuzz/run.sh does, and by it, in a target folder of its own.
set -euo pipefail
FUZZ_CRATE="$(cd "$(dirname "$0")" && pwd)"
export FUZZ_CRATE CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/chronolith-fuzz}/keys"
exec bash "$FUZZ_CRATE/../../fuzz/run.sh" "$@"
