"""Functions that real nodes call in these tests."""


def greet(name: str) -> str:
    return f"hello {name}"
