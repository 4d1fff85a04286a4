#!/usr/bin/env bash
# Cuts the power under load on a real ext4: bash testing/ext4-shutdown.sh ROUNDS
#
# Needs root, a loop device and python3. Each round mounts an image, lets a writer run for a random
# time, shuts the file system down by ioctl (FS_IOC_SHUTDOWN: nothing more reaches the device, not
# even the journal), kills the writer, mounts again, and compares what is left with what was
# acknowledged. Every tenth round begins with an empty file system. Nothing outside of the image is
# touched.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds="${1:?usage: ext4-shutdown.sh ROUNDS}"
cargo build --quiet --package chronolith-engine --example power_loss
load="${CARGO_TARGET_DIR:-target}/debug/examples/power_loss"
work=$(mktemp -d)
mount_point="$work/mount"
writer=
mkdir "$mount_point"
trap '[ -z "$writer" ] || kill -9 "$writer" 2>/dev/null || true
      umount "$mount_point" 2>/dev/null || true; rm -rf "$work"' EXIT

shut_down() {
    # Flag 2: do not write the journal. The other flags write more than a power cut would.
    python3 -c '
import fcntl, os, struct, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(folder, 0x8004587D, struct.pack("I", 2))' "$mount_point"
}

acknowledged=0 total=0
for round in $(seq "$rounds"); do
    if [ $((round % 10)) -eq 1 ]; then
        truncate --size 0 "$work/image"
        truncate --size 128M "$work/image"
        mkfs.ext4 -q "$work/image"
        acknowledged=0
    fi
    mount -o loop "$work/image" "$mount_point"
    "$load" write "$mount_point/database" >"$work/acknowledged" 2>"$work/error" &
    writer=$!
    # At least one batch, then up to 0.4 seconds more.
    for _ in $(seq 200); do
        [ -s "$work/acknowledged" ] && break
        sleep 0.02
    done
    sleep "0.$(printf '%03d' $((RANDOM % 400)))"
    # What is acknowledged when the power is cut. A sync that is under way in that moment may still
    # return success (jbd2_complete_transaction takes a transaction that was aborted and is gone for
    # one that is committed): that is the ioctl's doing, since a real cut ends the process as well.
    cp "$work/acknowledged" "$work/before"
    shut_down
    kill -9 "$writer" 2>/dev/null || true
    wait "$writer" 2>/dev/null || true
    writer=
    umount "$mount_point"
    # A line that the writer had not finished is none.
    last=$(grep --text -E '^[0-9]+$' "$work/before" | tail -n 1)
    [ -n "$last" ] && [ "$last" -gt "$acknowledged" ] && total=$((total + last - acknowledged)) && acknowledged=$last
    mount -o loop "$work/image" "$mount_point"
    if ! found=$("$load" check "$mount_point/database" "$acknowledged"); then
        echo "round $round: acknowledged $acknowledged" >&2
        exit 1
    fi
    umount "$mount_point"
    acknowledged=$found
done
echo "$rounds shutdowns, $total acknowledged batches, none lost"
