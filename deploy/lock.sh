#!/bin/sh
# Writes the locks anew from pyproject.toml and constraints.txt: deploy/lock.sh [--upgrade]
# A lock lists every file of a release, for all systems and Pythons, so one serves them all.
# torch-cpu.txt is written by hand.
set -eu
cd "$(dirname "$0")/.."
locks=deploy/locks

resolve() {
    name=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
        --no-annotate --constraint constraints.txt --output-file "$work/$name" "$@" > /dev/null
}

# Of torch only its CUDA builds are on PyPI, with gigabytes that a CPU build must not bring along.
write() {
    echo "# Written by \`make lock\`. pip install --require-hashes --no-deps --requirement FILE"
    awk "/^#/ { next } /^[a-z]/ { torch = /^(cuda-|nvidia-|torch==|triton==)/ } $1" "$work/$2"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Releases stay as they are locked, unless told otherwise; hashes always come from the index.
if [ "${1:-}" != --upgrade ] && [ -e "$locks/dev.txt" ]; then
    for lock in build dev service torch worker; do
        sed -n 's/^\([a-z].*\) \\$/\1/p' "$locks/$lock.txt" > "$work/$lock.txt"
    done
    cat "$work/torch.txt" >> "$work/dev.txt"
fi

resolve service.txt pyproject.toml --extra service --extra postgres --extra redis --extra otel
resolve dev.txt pyproject.toml "$locks/build.in" --extra dev --constraint "$work/service.txt"
resolve worker.txt pyproject.toml --extra worker --extra redis --constraint "$work/dev.txt"
resolve build.txt "$locks/build.in" --constraint "$work/dev.txt"

write 1 build.txt > "$locks/build.txt"
write 1 service.txt > "$locks/service.txt"
write '!torch' worker.txt > "$locks/worker.txt"
write '!torch' dev.txt > "$locks/dev.txt"
write torch dev.txt > "$locks/torch.txt"
