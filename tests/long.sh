#!/usr/bin/env bash
# The long mode of every proof, in one command. Each part says what it counted; any violation ends it.
#   tests/long.sh [part ...]     all parts unless some are named: points kills matrix drain model attempts cuts fuzz
#                                schedules mutants simulation
#   MINUTES=480 tests/long.sh simulation      a night of it
#   SCHEDULES=5000 tests/long.sh schedules    a minute after the build, instead of twenty
# Needs Rust and a C linker; `cuts` needs Linux with glibc and `cc`, `mutants` needs cargo-mutants (cargo install
# cargo-mutants). Several hours on two cores, and about a day more for all mutants.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes="${MINUTES:-10}"
export TILLBOOK_LONG=1 CARGO_TERM_COLOR=never
[ $# -gt 0 ] || set -- points kills matrix drain model attempts cuts fuzz schedules simulation mutants
it() { cargo test --all-features --test it -- --nocapture --test-threads=1 "$@"; }
for part in "$@"; do
    printf '\n== %s\n' "$part"
    case "$part" in
        points) cargo test --release --all-features --test simulation -- --nocapture points:: ;;
        simulation) TILLBOOK_SIMULATE_S=$((60 * minutes)) \
            cargo test --release --all-features --test simulation -- --nocapture seeded:: ;;
        kills) it ledger_kill:: storage::kill:: ;;
        matrix | drain | model) it "$part::" ;;
        attempts) CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_PROFILE_DEV_DEBUG=0 \
            cargo test --all-features --target-dir target/long --test it -- --nocapture attempts:: ;;
        cuts) tests/power-cut/run.sh ;;
        fuzz) TILLBOOK_FUZZ_MINUTES="$minutes" cargo test --all-features --test fuzz -- --nocapture ;;
        schedules) RUSTFLAGS="--cfg shuttle" TILLBOOK_SCHEDULES="${SCHEDULES:-100000}" \
            CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_PROFILE_DEV_DEBUG=0 cargo test --no-default-features \
            --features conformance --target-dir target/shuttle-long --lib -- --nocapture schedules:: ;;
        mutants)
            # SHARD=3/40 takes every fortieth. What no unit test catches meets the integration tests; what no test can
            # see is left out: conformance/ holds tests itself, schedules/ is built with `--cfg shuttle` alone.
            unset TILLBOOK_LONG # each mutant meets the short mode
            mutate() {
                CARGO_PROFILE_DEV_DEBUG=0 cargo mutants --exclude 'src/storage/conformance/**' \
                    --exclude '**/schedules/**' --minimum-test-timeout 60 "$@"
            }
            # It ends with 2 where one survived and with 3 where one ran for ever, which is caught as well.
            mutate --output target --file 'src/domain/**' --file 'src/storage/**' \
                --sharding round-robin --shard "${SHARD:-0/1}" \
                --no-default-features --features conformance --cargo-arg=--lib || [[ $? =~ ^[23]$ ]] || exit 1
            survivors=() # and with them those of their files that delete a field: these heed no --re
            while read -r mutant; do
                survivors+=(--file "${mutant%%:*}" --re "^$(sed 's/[][\\.*^$(){}?+|]/\\&/g' <<<"$mutant")\$")
            done <target/mutants.out/missed.txt
            mkdir -p target/survivors
            if [ -s target/mutants.out/missed.txt ]; then
                mutate --output target/survivors "${survivors[@]}" \
                    --all-features --cargo-arg=--test=it -- -- storage:: format:: model:: ledger
            fi ;;
        *) echo "no part is called $part" >&2; exit 2 ;;
    esac
done
