"""The environments of applications."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from shops import Notes, plain_top

from beamish.application import Application, ApplicationSpec, UnknownApplication, start_controller
from beamish.node.runtime import current_runtime
from beamish.process.gen import call
from beamish.term import atom
from beamish.testing import MemoryCluster, run_cluster
from loops import virtual

SHOP = ApplicationSpec("shop", env={"port": 4000, "host": "localhost"})


@virtual
async def test_reading() -> None:
    Application.load(SHOP)
    assert Application.get_env("shop", "port") == 4000
    assert Application.get_env(atom.shop, atom.port) == 4000
    assert Application.get_env("shop", "name") is None
    assert Application.get_env("shop", "name", "corner") == "corner"
    assert Application.fetch_env("shop", "port") == (True, 4000)
    assert Application.fetch_env("shop", "name") == (False, None)
    assert Application.fetch_env_required("shop", "port") == 4000
    assert Application.get_all_env("shop") == {"port": 4000, "host": "localhost"}
    assert Application.get_all_env("other") == {}


@virtual
async def test_a_value_that_must_be_there() -> None:
    Application.load(SHOP)
    with pytest.raises(LookupError, match=r"shop has no value for name in its environment \(it has port, host\); configure it"):
        Application.fetch_env_required("shop", "name")
    with pytest.raises(UnknownApplication, match="application other is not loaded"):
        Application.fetch_env_required("other", "name")


@virtual
async def test_writing() -> None:
    Application.load(SHOP)
    Application.put_env("shop", "port", 80)
    Application.put_env("shop", "name", "corner")
    Application.delete_env("shop", "host")
    assert Application.get_all_env("shop") == {"port": 80, "name": "corner"}
    before = Application.get_all_env("shop")
    before["port"] = 1
    assert Application.get_env("shop", "port") == 80  # it was a copy
    Application.put_all_env({"shop": {"port": 81}, "other": {"a": 1}})
    assert Application.get_env("shop", "port") == 81
    assert Application.get_env("other", "a") == 1


@virtual
async def test_loading_sets_everything_but_what_is_persistent() -> None:
    Application.put_all_env({"shop": {"port": 80, "name": "corner"}})
    Application.put_env("shop", "host", "example.org", persistent=True)
    Application.load(SHOP)
    assert Application.get_all_env("shop") == {"port": 4000, "host": "example.org"}
    Application.delete_env("shop", "host", persistent=True)
    Application.unload("shop")
    Application.load(SHOP)
    assert Application.get_env("shop", "host") == "localhost"


@virtual
async def test_configuration_lies_over_the_defaults_of_loaded_and_later_applications() -> None:
    Application.load(SHOP)
    await Application.configure({"shop": {"port": 80}, "later": {"depth": 3}})
    assert Application.get_all_env("shop") == {"port": 80, "host": "localhost"}
    assert Application.get_env("later", "depth") == 3
    Application.load(ApplicationSpec("later", env={"depth": 1, "width": 1}))
    assert Application.get_all_env("later") == {"depth": 3, "width": 1}


@virtual
async def test_running_applications_hear_of_a_new_configuration() -> None:
    note = Notes()

    class Shop(Application):
        env: ClassVar = {"port": 4000, "host": "localhost"}

        def start(self, start_type: str, args: Any) -> Any:
            return plain_top(note, "shop")

        async def config_change(self, changed: Any, new: Any, removed: Any) -> None:
            note.append((changed, new, removed))

    await Application.start(Shop)
    await Application.configure({"shop": {"port": 80, "name": "corner"}, "stdlib": {"x": 1}})
    assert note.taken() == [({"port": 80}, {"name": "corner"}, ())]
    await Application.configure({"shop": {"port": 80, "name": "corner"}})
    assert note.taken() == []
    await Application.configure({})
    assert note.taken() == [({"port": 4000}, {}, ("name",))]


@virtual
async def test_each_node_has_its_own() -> None:
    from beamish.application.table import applications_of
    from beamish.node.runtime import Runtime

    Application.put_env("shop", "port", 1)
    assert applications_of(Runtime(loop=current_runtime().loop)).env.get("shop") is None


# ---- what peers ask the controller


@virtual
async def test_erlang_s_requests() -> None:
    async def ask(request: Any) -> Any:
        return await call(atom.application_controller, request)

    start_controller(current_runtime())
    assert await ask((atom.load_application, atom.no_such_one)) == (
        atom.error, ("no such file or directory", "no_such_one.app"),
    )  # fmt: skip
    Application.load(ApplicationSpec("library", "books", "1.0"))
    assert await ask((atom.start_application, atom.library, atom.temporary)) is atom.ok
    assert await ask((atom.start_application, atom.library, atom.temporary)) == (
        atom.error, (atom.already_started, atom.library),
    )  # fmt: skip
    assert await ask((atom.start_application, atom.library, atom.often)) == (atom.error, (atom.bad_restart_type, atom.often))
    assert (await ask(atom.which_applications))[0] == (atom.library, "books", "1.0")
    assert (await ask(atom.loaded_applications))[0] == (atom.library, "books", "1.0")
    assert await ask((atom.unload_application, atom.library)) == (atom.error, (atom.running, atom.library))
    assert await ask((atom.stop_application, atom.library)) is atom.ok
    assert await ask((atom.stop_application, atom.library)) == (atom.error, (atom.not_started, atom.library))
    assert await ask((atom.stop_application, atom.kernel)) == (atom.error, (atom.not_stoppable, atom.kernel))
    assert await ask((atom.set_env, atom.library, atom.shelves, 3, [(atom.persistent, True)])) is atom.ok
    assert await ask((atom.unload_application, atom.library)) is atom.ok
    Application.load(ApplicationSpec("library"))
    assert Application.get_env("library", "shelves") == 3
    assert await ask((atom.unset_env, atom.library, atom.shelves, [])) is atom.ok
    assert Application.get_env("library", "shelves") is None
    assert await ask((atom.sing, 3)) == (atom.error, (atom.unknown_request, (atom.sing, 3)))
    assert (await ask((atom.set_env, atom.library, atom.shelves, 3, 7)))[0] is atom.error  # no list of options
    assert (await ask((atom.start_application, [1], atom.temporary)))[0] is atom.error


def test_another_node_has_no_module_imported() -> None:
    async def test() -> None:
        async with MemoryCluster("a", "b") as cluster:
            await cluster.connect_all()
            start_controller(cluster["b"])
            where = (atom.application_controller, cluster.name("b"))

            async def ask(what: Any) -> Any:
                return await call(where, what)

            for request in ((atom.load_application, atom.shops), (atom.start_application, atom.shops, atom.temporary)):
                answer = await cluster.run("a", ask, request)
                assert answer == (atom.error, (codes("no such file or directory"), codes("shops.app")))
            running = await cluster.run("a", ask, atom.which_applications)
            assert [name for name, _, _ in running] == [atom.beamish, atom.stdlib, atom.kernel]

    run_cluster(test)


def codes(text: str) -> list[int]:
    """A charlist as it comes over the wire."""
    return [ord(char) for char in text]
