"""Saved code taken into a running node: `beamish run --reload`.

`statements` reads sources, `functions` and `classes` change objects in place, `module_update` does one module, `code_reload`
all that are concerned, `servers` asks living servers to change over, `watching` waits for files and reports.
"""
