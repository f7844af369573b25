# The everyday verbs. `just` alone lists them.

[private]
default:
    @just --list --unsorted

# Build everything.
build:
    cargo build --workspace --all-targets

# Format, then lint as CI does.
check:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --workspace --test '*' -- -D warnings

# Every test; `just test --quick` leaves out the slow ones.
test *args:
    scripts/test {{ args }}

# A million schedules of the scaler's simulation; OTTO_SIM_SEED=… replays one.
sim schedules="1000000":
    OTTO_SIM_SCHEDULES={{ schedules }} cargo test --workspace --lib simulation -- --nocapture

# A million power cuts of log-ingest's store; OTTO_SIM_SEED=… replays one.
power-cuts schedules="1000000":
    OTTO_SIM_SCHEDULES={{ schedules }} cargo test --workspace --lib power_cuts -- --nocapture

# Kills, cuts, flipped bits, clocks that jump, memory: the long forms, an hour; OTTO_TEST_SEED=… replays one.
torture *tests:
    OTTO_TORTURE=long cargo test --release --workspace --test torture -- --test-threads 1 --nocapture {{ tests }}

# Each fuzz target for ten minutes; it goes on from what the last run has learnt.
fuzz seconds="600" *targets:
    scripts/fuzz {{ seconds }} {{ targets }}

# The whole system on this machine, with a task to look at.
demo *args:
    scripts/demo {{ args }}

# Measure, each figure beside a bare limit of the same run; `--write` renews docs/benchmarks.md.
bench *args:
    cargo build --release --workspace --bins --examples
    PATH="$(scripts/cluster-tools api):$(scripts/cluster-tools kwok):$(scripts/bench-tools):$PATH" "${CARGO_TARGET_DIR:-target}/release/bench" {{ args }}

# Measure store engines on log-ingest's load; `--full` with 10 GiB, `--quick` to see that it works.
bench-engines *args:
    cd tests/engines && cargo run --release --locked -- {{ args }}

# Static programs, and images of them; prints their sizes.
images *args:
    scripts/images {{ args }}

# Sizes of the images, how soon each is ready, and memory at rest; needs no Docker.
images-report *args:
    scripts/images-report {{ args }}

# Build the log page, which is committed as it is served; `just page check` tells whether what is committed is that.
page verb="build":
    scripts/page {{ verb }}

# Renew the pictures of the page in docs, which docs/page.md shows.
page-shots:
    scripts/page-shots

# Renew what is made from the chart's values: its README and schema, and what the tests compare its output with.
chart:
    scripts/chart-docs
    OTTO_BLESS=1 PATH="$(scripts/chart-tools):$PATH" cargo test --workspace --test chart -- golden

# Renew what is made from the programs' own help: the tables of docs/configure.md.
docs:
    OTTO_BLESS=1 cargo test --workspace --test integration -- docs::flags

# All files of a release, published nowhere; `--rehearse` while changes are still under Unreleased.
release *args:
    scripts/release {{ args }}

# API documentation of the crates.
doc:
    cargo doc --workspace --no-deps --open

# Licences, sources, duplicate and banned crates, known vulnerabilities.
deny:
    cargo deny check
