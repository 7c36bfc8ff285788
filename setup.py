"""Compile the hot modules. Everything else about the package is in pyproject.toml.

BEAMISH_EXT=a.b,c.d   compile only these modules (for work on one of them)
BEAMISH_ASAN=1        compile with AddressSanitizer (see `make asan`)
BEAMISH_ANNOTATE=1    write Cython's annotated HTML beside the C files
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

COMPILED = [
    "beamish.term._atom",
    "beamish.term._identifiers",
    "beamish.term._compound",
    "beamish.etf._encode",
    "beamish.etf._decode",
    "beamish.process._core",
    "beamish.process._signals",
    "beamish.process._scheduler",
    "beamish.process._timers",
    "beamish.process._call",
    "beamish.process._preempt",
    "beamish.gen_server._server",
    "beamish.dist._wire",
]


def extensions() -> list[Extension]:
    chosen = os.environ.get("BEAMISH_EXT")
    names = chosen.split(",") if chosen else COMPILED
    flags = ["-O3", "-fno-strict-aliasing", "-Wno-unused-function", "-Wno-unreachable-code"]
    link: list[str] = []
    if os.environ.get("BEAMISH_ASAN"):
        flags = ["-O1", "-g", "-fsanitize=address", "-fno-omit-frame-pointer"]
        link = ["-fsanitize=address"]
    found = []
    for name in names:
        source = Path("src", *name.split(".")).with_suffix(".pyx")
        if source.exists():
            found.append(Extension(name, [str(source)], extra_compile_args=flags, extra_link_args=link))
        elif chosen:
            raise SystemExit(f"setup.py: BEAMISH_EXT names {name}, but {source} does not exist")
    return found


setup(
    ext_modules=cythonize(
        extensions(),
        include_path=["src"],
        build_dir="build/cython",
        annotate=bool(os.environ.get("BEAMISH_ANNOTATE")),
        compiler_directives={
            "language_level": "3",
            "embedsignature": True,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": False,
        },
    ),
)
