#!/usr/bin/env bash
# Runs every fuzz target of peer storage over COUNT inputs: bash net/fuzz/run.sh COUNT [TARGET...]
#
# As engine/fuzz/run.sh does, and by it, in a target folder of its own.
set -euo pipefail
FUZZ_CRATE="$(cd "$(dirname "$0")" && pwd)"
export FUZZ_CRATE CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/chronolith-fuzz}/net"
exec bash "$FUZZ_CRATE/../../engine/fuzz/run.sh" "$@"
