#!/usr/bin/env bash
# Runs each body (or those named) under cargo-fuzz, guided by coverage, for MINUTES (60) each. Needs a nightly compiler
# (`rustup toolchain install nightly`), cargo-fuzz (`cargo install cargo-fuzz`) and a C++ compiler as `c++`. What it
# finds worth keeping goes to target/fuzz-corpus, an input that fails to tests/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v c++ >/dev/null || { echo "cargo-fuzz needs a C++ compiler as c++" >&2; exit 1; }
command -v cargo-fuzz >/dev/null || { echo "needs cargo-fuzz: cargo install cargo-fuzz" >&2; exit 1; }
cargo +nightly --version >/dev/null || { echo "needs nightly: rustup toolchain install nightly" >&2; exit 1; }
[ $# -gt 0 ] || set -- wire journal config request answer
for body in "$@"; do
    mkdir -p "target/fuzz-corpus/$body"
    cargo +nightly fuzz run --fuzz-dir tests/fuzz "$body" \
        "target/fuzz-corpus/$body" "tests/fuzz/corpus/$body" -- \
        -max_total_time=$((60 * ${MINUTES:-60})) -max_len=65536 -timeout=20 -rss_limit_mb=1024 -print_final_stats=1
done
