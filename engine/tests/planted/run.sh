#!/usr/bin/env bash
# Shows that the tests of the engine can see: bash engine/tests/planted/run.sh [PATCH...]
exec bash "$(dirname "$0")/../../../testing/planted.sh" engine "$@"
