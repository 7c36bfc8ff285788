"""Names of projects: which are taken, which are refused and what is proposed instead."""

from __future__ import annotations

import pytest

from beamish.project.names import BadName, checked_package, class_name, package_name


@pytest.mark.parametrize(
    ("project", "package", "cls"),
    [("my_app", "my_app", "MyApp"), ("my-shop", "my_shop", "MyShop"), ("a1", "a1", "A1"), ("x-y_z", "x_y_z", "XYZ")],
)
def test_good_names(project: str, package: str, cls: str) -> None:
    assert package_name(project) == package
    assert class_name(package) == cls


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("MyApp", "how about my_app?"),
        ("my app", "how about my_app?"),
        ("my--app", "how about my_app?"),
        ("9lives", "how about lives?"),
        ("_", "lower-case letters, digits and _ are"),
        ("", "lower-case letters"),
        ("café", "lower-case letters"),
        ("email", "standard library; call it my_email"),
        ("class", "word of Python's own; call it my_class"),
        ("match", "word of Python's own"),
        ("beamish", "another meaning"),
        ("tests", "another meaning"),
    ],
)
def test_bad_names(name: str, problem: str) -> None:
    with pytest.raises(BadName) as caught:
        package_name(name)
    assert problem in str(caught.value)


def test_a_package_has_no_dash() -> None:
    with pytest.raises(BadName, match="how about my_shop"):
        checked_package("my-shop")
