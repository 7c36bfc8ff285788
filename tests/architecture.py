"""The rules of docs/internals.md as functions: they take texts and give findings, so that they can be tested on
made-up sources.

A finding is one line of text, `file:line: what is wrong`. The layer table and the list of pure modules are read from
the document itself, which is the only place that states them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "beamish"
LINES = 450

# fmt: off
PURE_STDLIB = frozenset([
    "__future__", "abc", "array", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum", "functools",
    "hashlib", "heapq", "hmac", "itertools", "math", "operator", "re", "string", "struct", "sys", "types", "typing",
    "typing_extensions", "unicodedata", "weakref", "zlib",
])
# fmt: on
"""What a pure module may import from outside beamish. Nothing here reads a clock, a socket, a file or a random source
unasked."""

PURE_C = re.compile(
    r"cython|cpython(?!\.time)(\.\w+)?|libc\.(float|limits|math|stddef|stdint|stdio|stdlib|string)|libcpp(\.\w+)?"
)
"""What a pure module may cimport from outside beamish."""

BANNED_NAMES = frozenset({"utils", "util", "helpers", "misc", "common"})


@dataclass(frozen=True)
class Source:
    """One file. module: dotted name (a package is named without `__init__`); path: for findings and for the suffix."""

    module: str
    path: str
    text: str

    @property
    def is_package(self) -> bool:
        """Whether relative imports start at the module itself."""
        return Path(self.path).stem == "__init__"


@dataclass(frozen=True)
class Import:
    """One imported module, absolute; `names` are what `from` took out of it."""

    line: int
    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """rank: package or top-level module of beamish -> (layer, position in its row); pure: dotted names below
    beamish."""

    rank: Mapping[str, tuple[int, int]]
    pure: tuple[str, ...]

    def is_pure(self, module: str) -> bool:
        """Whether the module, or a package above it, is in the list."""
        below = module.removeprefix(PACKAGE + ".")
        return any(below == name or below.startswith(name + ".") for name in self.pure)


def read_rules(document: str) -> Rules:
    """Read the table and the list of pure modules out of docs/internals.md.

    Raises ValueError when either cannot be found: a document that moved must not switch the rules off.
    """
    rank = {}
    for row in re.finditer(r"^ *(\d+)  ([a-z_]+(?:  [a-z_]+)*)$", document, re.MULTILINE):
        for position, name in enumerate(row[2].split()):
            rank[name] = (int(row[1]), position)
    if len(rank) < 5:
        raise ValueError("no layer table of the form ' 3  dist  epmd' in docs/internals.md")
    listed = re.search(r"^Within a row.*?Pure modules[^:]*:(.*?)\n\n", document, re.MULTILINE | re.DOTALL)
    if listed is None:
        raise ValueError("no sentence 'Pure modules (...): ...' after the layer table in docs/internals.md")
    return Rules(rank, tuple(name.replace("/", ".") for name in re.findall(r"`([\w/]+)`", listed[1])))


def read_sources(root: Path) -> list[Source]:
    """Every .py, .pyi, .pyx and .pxd under root, which is the folder that contains the package."""
    found = []
    for path in sorted((root / PACKAGE).rglob("*")):
        if path.suffix in {".py", ".pyi", ".pyx", ".pxd"}:
            parts = path.relative_to(root).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Source(module, str(path.relative_to(root)), path.read_text()))
    return found


def imports(source: Source) -> list[Import]:
    """Everything the file imports or cimports, wherever it stands, type-checking blocks included."""
    if source.path.endswith((".py", ".pyi")):
        return list(_python_imports(source))
    return list(_cython_imports(source))


def upward(sources: Iterable[Source], rules: Rules) -> list[str]:
    """Imports of a higher layer, or of a neighbour to the left; and packages that the table does not name.

    The package itself, which gathers what users import, is for the top row only.
    """
    findings = []
    top = max(layer for layer, _ in rules.rank.values())
    for source in sources:
        mine = _layer(source.module)
        if mine is None:
            continue
        if mine not in rules.rank:
            findings.append(f"{source.path}:1: {PACKAGE}.{mine} is not in the layer table of docs/internals.md")
            continue
        for found in imports(source):
            for theirs in _layers_of(found):
                if theirs == "" and rules.rank[mine][0] < top:
                    findings.append(
                        f"{source.path}:{found.line}: imports the package {PACKAGE} itself; "
                        "import from the folder that defines it"
                    )
                elif theirs in rules.rank and not _may_import(rules.rank[mine], rules.rank[theirs]):
                    findings.append(
                        f"{source.path}:{found.line}: {mine} (layer {rules.rank[mine][0]}) imports {theirs} "
                        f"(layer {rules.rank[theirs][0]}): imports point downwards, within a row to the right"
                    )
    return findings


def impure(sources: Iterable[Source], rules: Rules) -> list[str]:
    """Impure imports of the pure modules and of all that they draw in; and names in the list that no file has."""
    by_module: dict[str, list[Source]] = {}
    for source in sources:
        by_module.setdefault(source.module, []).append(source)
    findings = []
    because = {module: "is pure" for module in by_module if rules.is_pure(module)}
    waiting = list(because)
    while waiting:
        module = waiting.pop(0)
        for source in by_module[module]:
            for found in imports(source):
                if found.module.split(".")[0] != PACKAGE:
                    if not _pure_outside(source, found):
                        findings.append(f"{source.path}:{found.line}: {because[module]}, but imports {found.module}")
                    continue
                for theirs in _modules_of(found, by_module):
                    if theirs not in because:
                        because[theirs] = f"must be pure, since {module} uses it"
                        waiting.append(theirs)
    findings += [
        f"docs/internals.md: pure module {name} does not exist"
        for name in rules.pure
        if f"{PACKAGE}.{name}" not in by_module
    ]
    return findings


def too_long(sources: Iterable[Source], exceptions: Mapping[str, tuple[int, str]]) -> list[str]:
    """Files of more than LINES lines.

    exceptions: path -> (its own limit, why). One that is not needed is a finding too.
    """
    lines = {source.path: len(source.text.splitlines()) for source in sources}
    findings = []
    for path, count in lines.items():
        limit = exceptions[path][0] if path in exceptions else LINES
        if count > limit:
            findings.append(f"{path}:{count}: more than {limit} lines; what gets read gets fixed: split it")
    findings += [f"{path}: may be longer than others, but is not" for path in exceptions if lines.get(path, 0) <= LINES]
    return findings


def badly_named(sources: Iterable[Source]) -> list[str]:
    """Modules whose name says nothing about what they hold."""
    return [
        f"{source.path}:1: a module named {name} says nothing; name it after the noun it holds"
        for source in sources
        for name in source.module.split(".")
        if name.strip("_") in BANNED_NAMES
    ]


def undocumented(sources: Iterable[Source]) -> list[str]:
    """Modules, public functions and public classes without a docstring. Stubs and .pxd files are spared."""
    findings = []
    for source in sources:
        if source.path.endswith(".py"):
            findings += _undocumented_python(source)
        elif source.path.endswith(".pyx"):
            findings += _undocumented_cython(source)
    return findings


# --- modules and layers ---


def _pure_outside(source: Source, found: Import) -> bool:
    """Whether a pure file may import this module, which is not beamish's."""
    if found.module.split(".")[0] in PURE_STDLIB:
        return True
    return source.path.endswith((".pyx", ".pxd")) and PURE_C.fullmatch(found.module) is not None


def _modules_of(found: Import, known: Iterable[str]) -> list[str]:
    """The modules that an import of beamish runs code of: those named, or the one whose names are taken."""
    inside = {name: f"{found.module}.{name}" for name in found.names}
    modules = [path for path in inside.values() if path in known]
    if len(modules) < max(len(inside), 1) and found.module in known:
        modules.append(found.module)
    return modules


def _layer(module: str) -> str | None:
    """`dist` for beamish.dist.flags; None for the package itself and `__main__`, which stand above the table."""
    parts = module.split(".")
    return None if len(parts) == 1 or parts[1] == "__main__" else parts[1]


def _layers_of(found: Import) -> list[str]:
    """The layers an import touches; "" stands for the package itself; none for foreign modules."""
    parts = found.module.split(".")
    if parts[0] != PACKAGE:
        return []
    if len(parts) > 1:
        return [parts[1]]
    return list(found.names) or [""]


def _may_import(mine: tuple[int, int], theirs: tuple[int, int]) -> bool:
    return theirs[0] < mine[0] or (theirs[0] == mine[0] and theirs[1] >= mine[1])


# --- .py ---


def _python_imports(source: Source) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source.text, source.path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import(node.lineno, _absolute(source, node.level, node.module or ""), names)


def _absolute(source: Source, level: int, module: str) -> str:
    if level == 0:
        return module
    parts = source.module.split(".")
    keep = len(parts) - level + (1 if source.is_package else 0)
    return ".".join([*parts[:keep], *([module] if module else [])])


def _undocumented_python(source: Source) -> list[str]:
    tree = ast.parse(source.text, source.path)
    findings = []
    if tree.body and ast.get_docstring(tree) is None:
        findings.append(f"{source.path}:1: no docstring of the module")
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if any(ast.unparse(mark).split(".")[-1] == "overload" for mark in node.decorator_list):
            continue
        if ast.get_docstring(node) is None:
            findings.append(f"{source.path}:{node.lineno}: no docstring of {node.name}")
    return findings


# --- .pyx and .pxd: Cython is not Python, so lines are read instead of a tree ---

_STRINGS = re.compile(
    r'"""[\s\S]*?"""' + r"|'''[\s\S]*?'''" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'(?:[^'\\\n]|\\.)*'" + r"|#[^\n]*"
)


def _code(text: str) -> str:
    """The text with comments removed and strings emptied, line numbers kept."""

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        return "" if found.startswith("#") else '""' + "\n" * found.count("\n")

    return _STRINGS.sub(blank, text)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with brackets and backslashes joined, each with the number of its first line."""
    pending, start = "", 0
    for number, line in enumerate(_code(text).splitlines(), 1):
        start = start if pending else number
        pending += " " + line.rstrip("\\") if pending else line.rstrip("\\")
        depth = sum(map(pending.count, "([{")) - sum(map(pending.count, ")]}"))
        if depth <= 0 and not line.endswith("\\"):
            yield start, pending
            pending = ""
    if pending:
        yield start, pending


def _cython_imports(source: Source) -> Iterator[Import]:
    for number, line in _logical_lines(source.text):
        if taken := re.match(r"\s*from\s+(\.*)([\w.]*)\s+c?import\s+(.+)", line):
            names = tuple(part.split()[0] for part in taken[3].strip("() ").split(",") if part.strip())
            yield Import(number, _absolute(source, len(taken[1]), taken[2]), names)
        elif plain := re.match(r"\s*c?import\s+(.+)", line):
            for part in plain[1].split(","):
                yield Import(number, part.split()[0])


def _undocumented_cython(source: Source) -> list[str]:
    findings = []
    text = source.text
    if text.strip() and not re.match(r'(\s*#[^\n]*\n)*\s*[rR]?("""|\'\'\')', text):
        findings.append(f"{source.path}:1: no docstring of the module")
    raw = text.splitlines()
    for number, line in _logical_lines(text):
        found = re.match(r"(?:async def|def|cpdef|cdef class|class)\b[^(:]*?(\w+)\s*[(:]", line)
        if not found or found[1].startswith("_"):
            continue
        end = number
        while end <= len(raw) and not _code(raw[end - 1]).rstrip().endswith(":"):
            if re.search(r":\s*\S", _code(raw[end - 1]).rpartition(")")[2]):
                break
            end += 1
        following = next((later.strip() for later in raw[end:] if later.strip()), "")
        if not re.match(r'[rR]?("""|\'\'\'|"|\')', following):
            findings.append(f"{source.path}:{number}: no docstring of {found[1]}")
    return findings
