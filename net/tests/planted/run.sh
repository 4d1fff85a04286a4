#!/usr/bin/env bash
# Applies the planted bugs of this folder, each of which the tests must see; testing/planted.sh says how.
exec bash "$(dirname "$0")/../../../testing/planted.sh" net "$@"
