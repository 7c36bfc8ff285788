"""Specifications: of classes and mappings, what is wrong with them, and how applications are found by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any, ClassVar

import pytest

from beamish.application import Application, ApplicationError, ApplicationSpec, SpecError, UnknownApplication
from beamish.application.spec import default_name
from loops import virtual


class Shop(Application):
    name = "shop"
    description = "sells"
    version = "1.2.3"
    applications = ("catalogue", "till")
    optional_applications = ("metrics",)
    included_applications = ("counter",)
    registered = ("cashier",)
    env: ClassVar = {"port": 4000, "host": "localhost"}
    args = ("north",)
    start_phases = (("open", 1),)


def test_the_specification_of_a_class() -> None:
    assert Shop.spec() == ApplicationSpec(
        "shop", "sells", "1.2.3", Shop, ("north",), ("catalogue", "till"), ("metrics",), ("counter",), ("cashier",),
        {"port": 4000, "host": "localhost"}, (("open", 1),),
    )  # fmt: skip


def test_the_specification_of_a_mapping() -> None:
    made = ApplicationSpec.from_mapping({
        "name": "shop", "applications": ["catalogue"], "env": {"port": 1}, "start_phases": [["open", 1]], "directory": "/srv/shop",
    })  # fmt: skip
    assert made == ApplicationSpec(
        "shop", applications=("catalogue",), env={"port": 1}, start_phases=(("open", 1),), directory=Path("/srv/shop")
    )


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({}, "app.toml: the application's name is missing"),
        ({"name": "shop", "aplications": []}, "app.toml: unknown key 'aplications'; did you mean 'applications'"),
        ({"name": "shop", "classes": {}}, "unknown key 'classes'"),
        ({"name": "shop", "xyz": 1}, "unknown key 'xyz'; known: name, description"),
        ({"name": "a shop"}, "app.toml: an application is named as a Python package is, not 'a shop'"),
        ({"name": 7}, "not 7"),
        ({"name": "shop", "applications": "catalogue"}, "applications is a list of names, not 'catalogue'"),
        ({"name": "shop", "applications": [7]}, "applications holds names, not 7"),
        ({"name": "shop", "applications": ["shop"]}, "shop names itself"),
        ({"name": "shop", "applications": ["a"], "included_applications": ["a"]}, "a is included, so it cannot be started before"),
        ({"name": "shop", "env": ["port"]}, r"env is a table of keys and values, not \['port'\]"),
        ({"name": "shop", "module": "shop.application"}, "module is written 'package.module:Class', not 'shop.application'"),
        ({"name": "shop", "start_phases": ["open"]}, "start_phases is a list of"),
    ],
)
def test_what_is_wrong_with_a_mapping(mapping: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        ApplicationSpec.from_mapping(mapping, where="app.toml")


@pytest.mark.parametrize(
    ("qualified", "module", "name"),
    [
        ("ShopFront", "shop.app", "shop_front"),
        ("Shop", "x", "shop"),
        ("ShopApplication", "x", "shop"),
        ("Application", "my_shop.application", "my_shop"),
        ("App", "my_shop", "my_shop"),
        ("MyApp", "x", "my_app"),
        ("HTTPServer", "x", "http_server"),
        ("test_x.<locals>.Inner", "tests", "inner"),
        ("App", "__main__", "main"),
    ],
)
def test_names_of_classes_that_give_none(qualified: str, module: str, name: str) -> None:
    assert default_name(qualified, module) == name


def test_an_attribute_name_is_not_inherited() -> None:
    class Branch(Shop):
        pass

    assert Branch.application_name() == "branch"


def test_callbacks_do_not_hide_the_functions() -> None:
    class Busy(Application):
        def start(self, start_type: str, args: Any) -> Any: ...

        def stop(self, state: Any) -> None: ...

    assert {"start", "stop", "get_env", "ensure_all_started"} <= set(dir(Application))
    assert Application.start is not Busy.start
    assert not hasattr(Busy(), "get_env")


@virtual
async def test_loading_and_unloading() -> None:
    class Counter(Application):
        env: ClassVar = {"step": 1}

    class Whole(Application):
        included_applications = (Counter,)

    assert Application.load(Whole).name == "whole"
    assert [each.name for each in Application.loaded_applications()][:2] == ["counter", "whole"]
    assert Application.spec("counter") is not None
    assert Application.get_env("counter", "step") == 1
    assert Application.ensure_loaded(Whole) is Application.spec("whole")
    with pytest.raises(ApplicationError, match="whole is already loaded"):
        Application.load(Whole)
    Application.unload("whole")
    assert Application.spec("whole") is None
    assert Application.spec("counter") is None
    assert Application.get_env("counter", "step") is None
    with pytest.raises(ApplicationError, match="whole is not loaded"):
        Application.unload(Whole)


@virtual
async def test_two_applications_of_one_name() -> None:
    class One(Application):
        name = "same"

    class Other(Application):
        name = "same"

    Application.load(One)
    with pytest.raises(ApplicationError, match="another application named same is loaded.*One.*Other.*needs a name of its own"):
        await Application.start(Other)


@virtual
async def test_what_runs_cannot_be_unloaded() -> None:
    Application.load(ApplicationSpec("library"))
    await Application.start("library")
    with pytest.raises(ApplicationError, match="library is running: stop it"):
        Application.unload("library")
    await Application.stop("library")
    Application.unload("library")


@virtual
async def test_what_is_no_application() -> None:
    for given in (7, int, object()):
        with pytest.raises(TypeError, match="an application is given by its name or its Application class"):
            await Application.start(given)


# ---- finding


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path; what is imported from it is forgotten again."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def package(folder: Path, name: str, **modules: str) -> None:
    (folder / name).mkdir()
    for module, text in {"__init__": "", **modules}.items():
        (folder / name / f"{module}.py").write_text(text)


APPLICATION = "from beamish.application import Application\nclass {0}(Application):\n    def start(self, t, a): ...\n"


@pytest.mark.parametrize("module", ["application", "__init__"])
def test_an_application_is_found_in_its_package(packages: Path, module: str) -> None:
    name = f"fruit_{module.strip('_')}"
    package(packages, name, **{module: APPLICATION.format("Fruit") + f"    name = {name!r}\n"})

    @virtual
    async def test() -> None:
        assert Application.load(name).name == name
        assert Application.app_dir(name) == packages / name
        assert Application.priv_dir(name, "logo.png") == packages / name / "priv" / "logo.png"
        assert Application.get_application(f"{name}.some.module") == name

    test()


def test_an_application_is_found_by_its_entry_point(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(packages, "berries", tree=APPLICATION.format("Bush"))
    entry = EntryPoint("berry", "berries.tree:Bush", "beamish.applications")

    def entry_points(**wanted: str) -> EntryPoints:
        return EntryPoints([entry]).select(**wanted)

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)

    @virtual
    async def test() -> None:
        assert Application.load("berry").module.__name__ == "Bush"  # type: ignore[union-attr]

    test()


def test_a_package_without_an_application(packages: Path) -> None:
    package(packages, "plain_package")

    @virtual
    async def test() -> None:
        with pytest.raises(UnknownApplication, match="plain_package has no application.*needs not be named"):
            Application.load("plain_package")

    test()


def test_a_package_that_cannot_be_imported(packages: Path) -> None:
    package(packages, "broken_fruit", application="import no_such_module\n")

    class Eater(Application):
        applications = ("broken_fruit",)

    @virtual
    async def test() -> None:
        said = r"eater needs broken_fruit: .*broken_fruit\.application cannot be imported.*no_such_module"
        with pytest.raises(SpecError, match=said):
            await Application.ensure_all_started(Eater)

    test()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no_such_module:App", "cannot be loaded: No module named 'no_such_module'"),
        ("shops:NoSuchClass", "cannot be loaded: .*NoSuchClass"),
        ("shops:Notes", "is <class 'shops.Notes'>, not a subclass of Application"),
    ],
)
def test_a_module_that_holds_no_application(place: str, said: str) -> None:
    @virtual
    async def test() -> None:
        with pytest.raises(SpecError, match=f"application fruit: {place} {said}"):
            Application.load(ApplicationSpec("fruit", module=place))

    test()


def test_a_mapping_wins_over_the_class_it_names(packages: Path) -> None:
    package(packages, "orchard", trees=APPLICATION.format("Trees") + "    version = '2'\n    env = {'apples': 1}\n    args = 7\n")

    @virtual
    async def test() -> None:
        spec = Application.load(ApplicationSpec("orchard", module="orchard.trees:Trees", env={"apples": 5}))
        assert (spec.name, spec.version, spec.args) == ("orchard", "2", 7)
        assert Application.get_env("orchard", "apples") == 5
        assert Application.ensure_loaded(spec.module) is spec

    test()


@virtual
async def test_the_folder_of_an_application_that_is_not_loaded() -> None:
    with pytest.raises(UnknownApplication, match="orchard is not loaded"):
        Application.app_dir("orchard")


@virtual
async def test_a_folder_may_be_given() -> None:
    Application.load(ApplicationSpec("orchard", directory=Path("/srv/orchard")))
    assert Application.app_dir("orchard", "a", "b") == Path("/srv/orchard/a/b")
