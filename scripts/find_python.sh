# Sourced by the other scripts: which Python, and is what we need from it there. Each failure says what to install.

# Succeeds when "$1" runs and is 3.11 or later. A version manager's shim may exist and yet run nothing.
_recent_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Print the interpreter to use: $PYTHON if set, else python3, else the first of python3.14 down to python3.11.
find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        if _recent_enough "$PYTHON"; then
            printf '%s\n' "$PYTHON"
            return 0
        fi
        printf 'setup: PYTHON=%s is not a Python 3.11 or later\n' "$PYTHON" >&2
        return 1
    fi
    for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
        if _recent_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    {
        printf 'setup: beamish needs Python 3.11 or later; python3 here is %s.\n' "$(python3 -V 2>/dev/null || echo missing)"
        printf '       On Debian or Ubuntu:  sudo apt-get install python3 python3-dev python3-venv\n'
        printf '       If you have one elsewhere:  make setup PYTHON=/path/to/python3.12\n'
    } >&2
    return 1
}

# The Debian package that belongs to interpreter "$1": python3.11-dev for a python3.11, and so on.
_debian_package() {
    printf 'python%s-%s\n' "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" "$2"
}

require_venv() {
    if ! "$1" -c 'import venv, ensurepip' 2>/dev/null; then
        {
            printf 'setup: %s cannot make virtual environments (no ensurepip).\n' "$("$1" -V)"
            printf '       On Debian or Ubuntu:  sudo apt-get install %s\n' "$(_debian_package "$1" venv)"
        } >&2
        return 1
    fi
}

has_headers() {
    [ -f "$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ]
}

require_headers() {
    if ! has_headers "$1"; then
        {
            printf 'setup: Python.h of %s is missing; the compiled modules need it.\n' "$("$1" -V)"
            printf '       On Debian or Ubuntu:  sudo apt-get install %s\n' "$(_debian_package "$1" dev)"
        } >&2
        return 1
    fi
}

has_compiler() {
    command -v "${CC:-cc}" >/dev/null 2>&1 && printf '#include <stdlib.h>\n' | "${CC:-cc}" -E -xc - >/dev/null 2>&1
}

require_compiler() {
    if ! has_compiler; then
        {
            printf 'setup: no working C compiler (%s) or no C library headers.\n' "${CC:-cc}"
            printf '       On Debian or Ubuntu:  sudo apt-get install gcc libc6-dev\n'
        } >&2
        return 1
    fi
}
