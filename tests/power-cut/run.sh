#!/usr/bin/env bash
# Cuts the power before every operation of a till that is traced, many disks each: the long mode of the tests
# `power_cut` (tests/it/power_cut.rs). Needs Linux with glibc, a C compiler as `cc`, cargo, and about 100 MB in
# /dev/shm. TILLBOOK_MACHINES (1) and TILLBOOK_CHANCES (1) make it longer, TILLBOOK_SEED repeats a run's choices.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(uname -s)" = Linux ] || { echo "power cuts need LD_PRELOAD as Linux has it; this is $(uname -s)" >&2; exit 1; }
for tool in cc cargo; do
    command -v "$tool" >/dev/null || { echo "power cuts need $tool" >&2; exit 1; }
done
export TILLBOOK_LONG=1
exec cargo test --all-features --test it power_cut:: -- --nocapture --test-threads=1
