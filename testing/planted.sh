#!/usr/bin/env bash
# Shows that the tests of a crate can see: applies each planted bug to a copy of the tree, one at a
# time, and demands that the tests named in it fail. bash testing/planted.sh CRATE [PATCH...]
#
# CRATE is the folder of a crate; its bugs are in CRATE/tests/planted, and each names the tests that must
# see it, and where they are not in the crate's library and the tests of its name, which targets they are
# in. A bug that does not compile, or whose tests pass without it too, counts as not caught.
set -euo pipefail
cd "$(dirname "$0")/.."

crate=${1:?which crate? engine, chain or net}
shift
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=("$crate"/tests/planted/*.patch)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create | tar --extract --directory "$copy"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/planted"
default="--package chronolith-$crate --lib --test $crate"

# The targets that a patch names.
targets() {
    local named
    named=$(sed -n 's/^Targets: //p' "$1")
    echo "${named:-$default}"
}

# cargo test of these targets, with these filters.
tests() {
    local filters=() of=()
    read -r -a of <<<"$1"
    IFS='|' read -r -a filters <<<"$2"
    (cd "$copy" && cargo test --quiet --locked "${of[@]}" -- "${filters[@]}")
}

caught=0 missed=()
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    filter=$(sed -n 's/^Caught by: //p' "$patch")
    patch --quiet --strip=1 --directory="$copy" <"$patch"
    read -r -a of <<<"$(targets "$patch")"
    (cd "$copy" && cargo test --quiet --locked "${of[@]}" --no-run) || { echo "$name: does not compile"; exit 1; }
    if tests "${of[*]}" "$filter" >"$copy/log" 2>&1; then
        missed+=("$name")
        echo "$name: NOT CAUGHT by $filter"
    else
        caught=$((caught + 1))
        echo "$name: caught by $(grep -c '^test .*FAILED\|^---- .* stdout' "$copy/log" || true) tests of $filter"
    fi
    patch --quiet --strip=1 --reverse --directory="$copy" <"$patch"
done
# The same tests, without any of them.
while read -r of; do
    filters=$(for patch in "${patches[@]}"; do
        [ "$(targets "$patch")" != "$of" ] || sed -n 's/^Caught by: //p' "$patch"
    done | tr '|' '\n' | sort -u | paste -sd '|')
    tests "$of" "$filters" >"$copy/log" 2>&1 ||
        { echo "the tests fail without any planted bug:"; tail -n 40 "$copy/log"; exit 1; }
done < <(for patch in "${patches[@]}"; do targets "$patch"; done | sort -u)
echo "$caught of ${#patches[@]} planted bugs caught; the same tests pass without them"
[ ${#missed[@]} -eq 0 ]
