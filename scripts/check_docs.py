"""Check the documentation: every relative link has a target, every `make` target named in it exists.

    python scripts/check_docs.py            all .md files of the repository; exit code 1 when something is wrong

Links to other sites are not followed: a check must give the same answer without a network.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {".git", ".venv", "build", "node_modules", ".pytest_cache", ".hypothesis"}

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
MAKE = re.compile(r"(?:^|[`$\s&])make ([a-z]+)(?=[`\s|;]|$)", re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """Every Markdown file of the repository, in order of its path."""
    return sorted(path for path in root.rglob("*.md") if not SKIPPED & set(path.relative_to(root).parts))


def anchors(text: str) -> set[str]:
    """The fragments that can follow `#`, as GitHub makes them from headings."""
    found: set[str] = set()
    for heading in HEADING.findall(_blank(FENCE, text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number, free = 0, slug
        while free in found:
            number += 1
            free = f"{slug}-{number}"
        found.add(free)
    return found


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Findings `file:line: ...` for links without a target; code is not looked at."""
    prose = re.sub(r"`[^`\n]*`", lambda match: " " * len(match[0]), _blank(FENCE, text))
    for match in LINK.finditer(prose):
        target = match[1] or match[2]
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, fragment = target.partition("#")
        line = prose.count("\n", 0, match.start()) + 1
        where = (page.parent / unquote(path)).resolve() if path else page
        if not where.exists():
            yield f"{page}:{line}: link to {target}: there is no {where}"
        elif (
            fragment and where.suffix == ".md" and fragment not in anchors(text if where == page else where.read_text())
        ):
            yield f"{page}:{line}: link to {target}: no heading of {where.name} gives #{fragment}"


def unknown_targets(page: Path, text: str, makefile: str) -> Iterator[str]:
    """Findings for `make X` in code where the Makefile has no X."""
    known = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for code in re.finditer(FENCE.pattern + r"|`[^`\n]+`", text, re.MULTILINE | re.DOTALL):
        for match in MAKE.finditer(code[0]):
            if match[1] not in known:
                line = text.count("\n", 0, code.start() + match.start(1)) + 1
                yield f"{page}:{line}: `make {match[1]}`: the Makefile has no such target"


def check(root: Path) -> list[str]:
    """All findings for the repository at root."""
    makefile = (root / "Makefile").read_text()
    findings: list[str] = []
    for page in pages(root):
        text = page.read_text()
        findings += dead_links(page, text)
        findings += unknown_targets(page, text, makefile)
    return [finding.replace(f"{root}/", "") for finding in findings]


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """The text with matches emptied, line numbers kept."""
    return pattern.sub(lambda match: "\n" * match[0].count("\n"), text)


if __name__ == "__main__":
    findings = check(ROOT)
    print("\n".join(findings) or f"{len(pages(ROOT))} pages, no dead link")
    sys.exit(bool(findings))
