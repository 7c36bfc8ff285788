#!/usr/bin/env bash
# Build every compiled module with AddressSanitizer, in a copy of the sources, and run the codec's fuzz, limit and layout
# tests and those of the wire, the mailbox, calls and servers with them. (Not preemption: it moves stacks, which the sanitizer
# takes for an overrun.) Nothing in this tree changes.
#
#     scripts/asan.sh [pytest arguments]      (default: the tests named below)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
compiler=${CC:-gcc}
runtime=$("$compiler" -print-file-name=libasan.so)
case $runtime in
    /*) ;;
    *) echo "asan.sh: $compiler has no libasan.so; install it (Debian: libasan8, part of gcc)" >&2; exit 1 ;;
esac
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/src"
(cd "$root" && tar cf - --exclude='*.so' --exclude='__pycache__' setup.py pyproject.toml src tests) | (cd "$copy" && tar xf -)
[ -f "$root/README.md" ] && cp "$root/README.md" "$copy/"
cd "$copy"
BEAMISH_ASAN=1 "$python" setup.py -q build_ext --inplace -j 2
[ $# -gt 0 ] || set -- tests/etf/test_etf_fuzz.py tests/etf/test_etf_layout.py tests/etf/test_etf_limits.py \
    tests/etf/test_etf_atom_cache.py tests/term/test_compound.py tests/term/test_atom.py tests/dist/test_wire.py \
    tests/process/test_mailbox.py tests/process/test_receiving.py tests/process/test_calls.py \
    tests/gen_server/test_server_callbacks.py tests/gen_server/test_server_ends.py
# PYTHONMALLOC: each object in a block of its own, so that overruns are seen. Interpreters leak on purpose at exit.
# detect_stack_use_after_return costs stack, which the depth tests measure.
LD_PRELOAD=$runtime PYTHONMALLOC=malloc PYTHONPATH=src \
    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=1 \
    "$python" -m pytest -q -p no:cacheprovider --timeout 600 \
    -k "not small_stack and not leaks_nothing and not before_anything and not add_up and not bombs" "$@"
