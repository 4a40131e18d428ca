# shellcheck shell=bash
# What the commands of cross/ share: the row of a target, and the tools it takes. Sourced by them, from the root of the tree.

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/usp-agent-cross

die() {
    printf 'cross: %s\n' "$*" >&2
    exit 1
}

names() { awk '!/^#/ && NF { print $1 }' cross/targets; }

# Sets NAME, TRIPLE, ZIG_TARGET, CPU, QEMU (a command, empty where none is needed), CEILING, GOAL, HELD (in bytes), ARCHES
# and OUT.
row() {
    local line zig qemu program
    line=$(awk -v name="$1" '!/^#/ && $1 == name' cross/targets)
    [ -n "$line" ] || die "no target '$1'; there are: $(names | tr '\n' ' ')"
    read -r NAME TRIPLE zig qemu CEILING GOAL HELD ARCHES <<<"$line"
    export ZIG_TARGET=${zig%%:*} CPU=${zig#*:}
    CEILING=${CEILING}000 GOAL=${GOAL}000 HELD=${HELD}000 ARCHES=${ARCHES//,/ }
    OUT=target/cross/$NAME
    QEMU=
    [ "$qemu" = - ] && return
    program=${qemu%%:*}
    QEMU=$(command -v "$program-static" || command -v "$program" || echo "$program")
    case $qemu in *:*) QEMU="$QEMU -cpu ${qemu#*:}" ;; esac
}

# A compiler that has the source of its standard library: none is published for mips, and one of our own is smaller.
find_rust() {
    local rustc
    for rustc in ${CROSS_RUSTC:-$(command -v rustc || true) /usr/bin/rustc}; do
        [ -x "$rustc" ] || continue
        if [ -f "$("$rustc" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; then
            RUSTC=$rustc
            CARGO=$(dirname "$rustc")/cargo
            [ -x "$CARGO" ] || die "$rustc has no cargo beside it"
            export RUSTC
            return
        fi
    done
    die "no Rust compiler with the source of its standard library: \`rustup component add rust-src\`, or on Debian \`apt-get install rustc-web cargo-web rust-web-src\`"
}

find_tools() {
    find_rust
    # Zig: as the Python package, in an environment of its own or not, or as itself.
    if [ -x "$CACHE/venv/bin/python3" ] && "$CACHE/venv/bin/python3" -m ziglang version >/dev/null 2>&1; then
        ZIG="$CACHE/venv/bin/python3 -m ziglang"
    elif python3 -m ziglang version >/dev/null 2>&1; then
        ZIG="python3 -m ziglang"
    elif command -v zig >/dev/null; then
        ZIG=zig
    else
        die "no zig, which compiles C and links: \`python3 -m venv $CACHE/venv && $CACHE/venv/bin/pip install ziglang\`, or zig from https://ziglang.org on PATH"
    fi
    export ZIG
    command -v llvm-strip >/dev/null && command -v llvm-ar >/dev/null || die "no llvm-strip or llvm-ar: \`apt-get install llvm\`"
}

# The C library of the target, which zig builds when it links something for the first time: writes down what it links
# with. The first line is what begins a program, the second what comes last. Whether that program of C links does not
# matter, and on ARMv5 it does not: __sync_fetch_and_add_1 and its like come with Rust's standard library. A program that
# unwinds asks for `find_libc -lunwind`.
find_libc() {
    local line
    mkdir -p "$OUT"
    echo 'int main(void) { return 0; }' >"$OUT/probe.c"
    line=$( (ZIG_VERBOSE_LINK=1 $ZIG cc -target "$ZIG_TARGET" -mcpu="$CPU" -fno-sanitize=all "$OUT/probe.c" "$@" \
        -o "$OUT/probe" 2>&1 || true) | grep '^ld\.lld ' | grep -v '^ld\.lld -r ' | tail -1)
    export CROSS_EMULATION CROSS_BEGIN CROSS_END
    CROSS_EMULATION=$(sed -E 's/.* -m ([^ ]+) .*/\1/' <<<"$line")
    CROSS_BEGIN=$(grep -oE '[^ ]+/crt1\.o' <<<"$line") && CROSS_END=$(grep -oE '[^ ]+/lib(unwind|c|zigc|compiler_rt)\.a' <<<"$line") ||
        die "zig does not say what it links with: $line"
}

# Where crates and the standard library lie on this machine is no business of the program: paths in it (of panics) begin
# at the crate. Smaller, and the same on every machine.
remapped() {
    local folder
    printf -- '--remap-path-prefix=%s=std ' "$("$RUSTC" --print sysroot)/lib/rustlib/src/rust/library"
    printf -- '--remap-path-prefix=%s=. ' "$PWD"
    for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
        [ -d "$folder" ] && printf -- '--remap-path-prefix=%s= ' "$folder"
    done
}

# Cargo for the target, with what all seven have in common:
# * rustc's own start files are asked for by some musl targets, and a standard library of our own has none
# * at a fixed address: a program that can be moved does not start on mips, and is larger elsewhere
# * 64 bits for the time on 32-bit musl: without it the year 2038 is the last one, for the standard library too
cargo_for_target() {
    local verb=$1 flags=$2 variable=${TRIPLE//-/_}
    shift 2
    case $PWD in *' '*) die "flags of rustc cannot hold a path with a blank: $PWD" ;; esac
    flags="-Clinker=$PWD/cross/ld -Clinker-flavor=ld -Clink-self-contained=no -Ctarget-feature=+crt-static -Crelocation-model=static $flags"
    env RUSTC_BOOTSTRAP=1 RUST_LIBC_UNSTABLE_MUSL_V1_2_3=1 RUSTFLAGS="$flags $(remapped)" \
        "CC_$variable=$PWD/cross/cc" "AR_$variable=llvm-ar" CRATE_CC_NO_DEFAULTS=1 \
        "$CARGO" "$verb" --locked --target "$TRIPLE" "$@"
}
