#!/usr/bin/env bash
# Shows that the tests of a crate can see: applies each planted bug to a copy of the tree, one at a
# time, and demands that the tests named in it fail. bash testing/planted.sh CRATE [PATCH...]
#
# CRATE is the folder of a crate whose integration tests have its name; its bugs are in
# CRATE/tests/planted. A bug that does not compile, or whose tests pass without it too, counts as
# not caught.
set -euo pipefail
cd "$(dirname "$0")/.."

crate=${1:?which crate? engine or chain}
shift
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=("$crate"/tests/planted/*.patch)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create | tar --extract --directory "$copy"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/planted"
compiled=(--quiet --locked --package "chronolith-$crate" --lib --test "$crate")

tests() {
    local filters=()
    IFS='|' read -r -a filters <<<"$1"
    (cd "$copy" && cargo test "${compiled[@]}" -- "${filters[@]}")
}

caught=0 missed=()
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    filter=$(sed -n 's/^Caught by: //p' "$patch")
    patch --quiet --strip=1 --directory="$copy" <"$patch"
    (cd "$copy" && cargo test "${compiled[@]}" --no-run) || { echo "$name: does not compile"; exit 1; }
    if tests "$filter" >"$copy/log" 2>&1; then
        missed+=("$name")
        echo "$name: NOT CAUGHT by $filter"
    else
        caught=$((caught + 1))
        echo "$name: caught by $(grep -c '^test .*FAILED\|^---- .* stdout' "$copy/log" || true) tests of $filter"
    fi
    patch --quiet --strip=1 --reverse --directory="$copy" <"$patch"
done
tests "$(sed -n 's/^Caught by: //p' "${patches[@]}" | tr '|' '\n' | sort -u | paste -sd '|')" >"$copy/log" 2>&1 ||
    { echo "the tests fail without any planted bug:"; tail -n 40 "$copy/log"; exit 1; }
echo "$caught of ${#patches[@]} planted bugs caught; the same tests pass without them"
[ ${#missed[@]} -eq 0 ]
