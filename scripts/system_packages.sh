#!/usr/bin/env bash
# Install from Debian what the whole test suite needs and is missing; says nothing when all is there. `make test` calls this.
#
#   erl, erlc, epmd     Erlang/OTP with inets, ssl, crypto, runtime_tools: the real peers of the interoperability tests
#   elixir, iex         the same from Elixir
#   tmux                the shell is tested on a terminal
#   ip                  tests that give nodes addresses of their own
#   a C compiler, Python's headers and venv: for `make setup`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/find_python.sh

packages=()
want() { packages+=("$@"); }
has() { command -v "$1" >/dev/null 2>&1; }

# All applications that the tests start, asked in one start of the emulator.
erlang_is_complete() {
    has erl && has erlc && has epmd && erl -noinput -boot start_clean -eval '
        Missing = [A || A <- [compiler, crypto, inets, ssl, public_key, runtime_tools, tools], code:lib_dir(A) =:= {error, bad_name}],
        halt(length(Missing)).' >/dev/null 2>&1
}

erlang_is_complete || want erlang-base erlang-crypto erlang-inets erlang-ssl erlang-public-key erlang-runtime-tools erlang-tools
{ has elixir && has iex; } || want elixir
has tmux || want tmux
has ip || PATH="$PATH:/sbin:/usr/sbin" has ip || want iproute2
has_compiler || want gcc libc6-dev

if python=$(find_python 2>/dev/null); then
    ready=.venv/bin/python
    if [ ! -x "$ready" ]; then
        "$python" -c 'import venv, ensurepip' 2>/dev/null || want "$(_debian_package "$python" venv)"
        has_headers "$python" || want "$(_debian_package "$python" dev)"
    fi
else
    want python3 python3-dev python3-venv
fi

if [ "${#packages[@]}" -eq 0 ]; then
    exit 0
fi

give_up() {
    {
        printf 'system packages: %s\n' "$1"
        printf '  missing: %s\n' "${packages[*]}"
        printf '  Install them (these are the names in Debian) and run this again. Without them you can still run\n'
        printf '      make setup && .venv/bin/python -m pytest -m "not interop"\n'
    } >&2
    exit 1
}

has apt-get || give_up 'something is missing and there is no apt-get to install it with.'
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    has sudo || give_up 'something is missing; installing needs root, and there is no sudo.'
    as_root=(sudo)
fi

printf 'system packages: installing %s\n' "${packages[*]}" >&2
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${packages[@]}" >build/system_packages.log 2>&1
}
mkdir -p build
# The package lists may be old or absent; fetch them only if the first try fails.
install || { "${as_root[@]}" apt-get update -q >>build/system_packages.log 2>&1 && install; } || {
    tail -n 15 build/system_packages.log >&2
    give_up 'apt-get could not install them (the end of build/system_packages.log is above).'
}
