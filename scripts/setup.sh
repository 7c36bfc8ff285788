#!/usr/bin/env bash
# Make .venv ready: environment, tools, beamish in editable form with its extensions compiled. `make setup` calls this.
#
# Two stamps in .venv say what it was made from, so that a run with nothing to do takes a moment:
#   .stamp-install   pyproject.toml, setup.py and the interpreter: changed -> install again
#   .stamp-compiled  setup.py, .pyx, .pxd and headers:             changed -> compile again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/find_python.sh

venv=.venv
say() { printf 'setup: %s\n' "$*" >&2; }

digest() { sort -z | xargs -0 -r cat | cksum; }

# Two runs at once (a demo in one terminal, tests in another) must not build into each other.
mkdir -p build
if command -v flock >/dev/null; then
    exec 9>build/.setup-lock
    flock 9
fi

if [ -e "$venv" ] && ! "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "$venv is broken, without pip or of an old Python; making it anew"
    rm -rf "$venv"
fi

install_stamp=$(
    { printf '%s\0' pyproject.toml setup.py | digest; "$venv/bin/python" -VV 2>/dev/null || true; pwd; } 2>/dev/null
)
compiled_stamp=$(
    { find src -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.h' \) -print0; printf 'setup.py\0'; } | digest
)
have() { [ -f "$venv/$1" ] && [ "$(cat "$venv/$1")" = "$2" ]; }

# An extension file that was deleted by hand counts as a change.
complete() {
    local source
    while IFS= read -r source; do
        compgen -G "${source%.pyx}.*.so" >/dev/null || return 1
    done < <(find src -name '*.pyx')
}

if have .stamp-install "$install_stamp" && have .stamp-compiled "$compiled_stamp" && complete; then
    exit 0
fi

if [ ! -e "$venv" ]; then
    python=$(find_python)
    require_venv "$python"
    say "creating $venv with $("$python" -V)"
    "$python" -m venv "$venv"
fi
require_headers "$venv/bin/python"
require_compiler

jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
if have .stamp-install "$install_stamp"; then
    say "compiling what changed"
    "$venv/bin/python" setup.py -q build_ext --inplace -j "$jobs"
else
    rm -f "$venv/.stamp-install" "$venv/.stamp-compiled"
    say "installing build tools"
    "$venv/bin/python" -m pip install -q --upgrade 'setuptools>=77' wheel 'Cython>=3.1'
    say "compiling and installing beamish with the developers' tools (some minutes)"
    printf '[build_ext]\nparallel = %s\n' "$jobs" >build/parallel.cfg
    DIST_EXTRA_CONFIG=$PWD/build/parallel.cfg "$venv/bin/python" -m pip install -q --no-build-isolation -e '.[dev]'
    # Worked out again: the interpreter did not exist when the stamp was first computed.
    install_stamp=$({ printf '%s\0' pyproject.toml setup.py | digest; "$venv/bin/python" -VV; pwd; })
fi

printf '%s\n' "$compiled_stamp" >"$venv/.stamp-compiled"
printf '%s\n' "$install_stamp" >"$venv/.stamp-install"
say "ready: $venv/bin/beamish"
