# The usual chores. `just` alone lists them.

_default:
    @just --list

# Everything CI checks
ci:
    bash .ci/run

# All tests
test:
    tests/run

# Format, lint
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# The agent on a simulated router, with a controller
demo:
    cargo run --release -- demo

# Rewrite src/usp/wire.rs from proto/
wire:
    UPDATE=1 cargo test --test generated_code

# The figures of the README
bench:
    cargo bench
