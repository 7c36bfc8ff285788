"""New source in a loaded module: what runs again, what stays the same object, and what a broken edit leaves behind."""

from __future__ import annotations

import sys
import textwrap
import types
from collections.abc import Iterator
from typing import Any

import pytest

from beamish.project.reload.module_update import ModuleUpdate, update_module
from beamish.project.reload.statements import read_statements
from beamish.project.reload.undo import UndoLog


class Loaded:
    """A module made of a text, and the ways to edit it."""

    def __init__(self, name: str, source: str) -> None:
        self.source = textwrap.dedent(source)
        self.module = types.ModuleType(name)
        self.module.__dict__["__file__"] = f"{name}.py"
        sys.modules[name] = self.module
        exec(compile(self.source, f"{name}.py", "exec", dont_inherit=True), vars(self.module))
        self.undo = UndoLog()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def edit(self, source: str, *, others: dict[str, ModuleUpdate] | None = None) -> ModuleUpdate:
        """Take in a new text, as a reload does."""
        source = textwrap.dedent(source)
        self.undo = UndoLog()
        filename = self.module.__dict__["__file__"]
        try:
            update = update_module(
                self.module, read_statements(self.source, filename), read_statements(source, filename),
                filename=filename, undo=self.undo, others=others or {},
            )  # fmt: skip
        except BaseException:
            self.undo.roll_back()
            raise
        self.source = source
        return update


@pytest.fixture
def load() -> Iterator[Any]:
    made: list[str] = []

    def make(source: str, name: str = "edited_module") -> Loaded:
        made.append(name)
        return Loaded(name, source)

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_a_function_stays_the_same_object(load: Any) -> None:
    m = load("def f(a, b=1):\n    return a + b\n")
    held = m.f
    update = m.edit("def f(a, b=2, *, c=3):\n    'doc'\n    return a * b * c\n")
    assert held is m.f
    assert held(5) == 30
    assert held.__doc__ == "doc"
    assert update.changed == {"f": "code"}


def test_added_functions_see_the_modules_globals(load: Any) -> None:
    m = load("x = 1\n")
    m.edit("x = 1\ndef g():\n    return x\n")
    m.module.x = 7
    assert m.g() == 7


def test_removed_names_are_gone(load: Any) -> None:
    m = load("def f(): ...\ny = 2\nz = 3\n")
    assert m.edit("z = 3\n").removed == ["f", "y"]
    assert not hasattr(m.module, "f")
    assert m.z == 3


def test_data_keeps_its_value_while_its_source_is_the_same(load: Any) -> None:
    m = load("seen = []\nlimit = 1\n")
    m.seen.append("x")
    kept = m.seen
    update = m.edit("# a remark\nseen   =   [  ]\n\nlimit = 2\n")
    assert m.seen is kept == ["x"]
    assert m.limit == 2
    assert update.changed == {"limit": "data"}


def test_what_is_computed_from_changed_data_is_computed_again(load: Any) -> None:
    m = load("base = 1\ndouble = base * 2\nother = [base for base in range(2)]\n")
    m.module.other.append(9)
    m.edit("base = 5\ndouble = base * 2\nother = [base for base in range(2)]\n")
    assert m.double == 10
    assert m.other == [0, 1, 9]  # the comprehension's own `base` is another one


def test_a_changed_function_does_not_renew_data_made_with_it(load: Any) -> None:
    m = load("def make():\n    return []\ncache = make()\n")
    m.cache.append(1)
    m.edit("def make():\n    return [0]\ncache = make()\n")
    assert m.cache == [1]


def test_statements_that_fill_a_table_run_again_only_if_needed(load: Any) -> None:
    m = load("log = []\ntable = {}\ntable['a'] = 1\nlog.append('filled')\n")
    m.table["run time"] = True
    m.edit("log = []\ntable = {}\ntable['a'] = 1\nlog.append('filled')\ndef more(): ...\n")
    assert m.table == {"a": 1, "run time": True}
    assert m.log == ["filled"]
    m.edit("log = []\ntable = {'z': 0}\ntable['a'] = 1\nlog.append('filled')\n")
    assert m.table == {"a": 1, "z": 0}
    assert m.log == ["filled"]


def test_registering_decorators_keep_the_kept_registry_whole(load: Any) -> None:
    m = load("routes = {}\ndef route(f):\n    routes[f.__name__] = f\n    return f\n@route\ndef one(): return 1\n")
    m.edit("""
        routes = {}
        def route(f):
            routes[f.__name__] = f
            return f
        @route
        def one(): return 11
        @route
        def two(): return 2
        """)
    assert {name: f() for name, f in m.routes.items()} == {"one": 11, "two": 2}


def test_a_decorated_function_that_somebody_holds_gets_the_new_body(load: Any) -> None:
    source = """
        import functools
        def shout(times):
            def decorate(f):
                @functools.wraps(f)
                def inner(*args):
                    return f(*args) * times
                return inner
            return decorate
        @shout(2)
        def word(): return "a"
        """
    m = load(source)
    held = m.word
    assert held() == "aa"
    m.edit(source.replace('"a"', '"b"').replace("shout(2)", "shout(3)"))
    assert held is m.word
    assert held() == "bbb"
    m.edit(m.source.replace("f(*args) * times", "f(*args).upper() * times"))
    assert held() == "BBB"


def test_functions_of_other_modules_are_never_patched(load: Any) -> None:
    m = load("from json import dumps as work\nimport functools\n")
    import json
    import shlex

    before = json.dumps.__code__
    m.edit("from shlex import quote as work\nimport functools\n")
    assert m.work is shlex.quote
    assert json.dumps.__code__ is before


def test_instances_see_new_methods(load: Any) -> None:
    m = load("""
        class Base:
            def hello(self): return "base"
        class C(Base):
            limit = 1
            seen = []
            def __init__(self): self.n = 1
            def old(self): return "old"
            @property
            def twice(self): return self.n * 2
            @staticmethod
            def plain(): return 1
            @classmethod
            def named(cls): return cls.__name__
        """)
    cls, instance, method = m.C, m.C(), m.C().old
    cls.seen.append("kept")
    update = m.edit("""
        class Base:
            def hello(self): return "base"
        class C(Base):
            limit = 2
            seen = []
            def __init__(self): self.n = 1
            def old(self): return "new"
            def added(self): return super().hello() + "+"
            @property
            def twice(self): return self.n * 200
            @staticmethod
            def plain(): return 2
            @classmethod
            def named(cls): return cls.__name__.lower()
        """)
    assert m.C is cls
    assert list(update.classes) == [cls]
    assert (instance.old(), method(), instance.twice, instance.plain(), instance.named()) == ("new", "new", 200, 2, "c")
    assert instance.added() == "base+"  # super() in a method that is new
    assert (cls.limit, cls.seen) == (2, ["kept"])
    m.edit("class Base: ...\nclass C(Base):\n    def renamed(self): return 'r'\n")
    assert instance.renamed() == "r"
    assert not hasattr(instance, "old")
    assert not hasattr(instance, "hello")


def test_a_subclass_is_made_anew_when_its_base_changes(load: Any) -> None:
    source = """
        from dataclasses import dataclass
        @dataclass
        class A:
            x: int = 1
        @dataclass
        class B(A):
            y: int = 2
        """
    m = load(source)
    b = m.B
    m.edit(source.replace("x: int = 1", "x: int = 1\n            z: int = 3"))
    assert m.B is b
    assert repr(b()) == "B(x=1, z=3, y=2)"


def test_bases_can_change(load: Any) -> None:
    m = load("class A:\n    def f(self): return 'a'\nclass B:\n    def f(self): return 'b'\nclass C(A): ...\n")
    instance = m.C()
    m.edit(m.source.replace("C(A)", "C(B)"))
    assert instance.f() == "b"
    assert isinstance(instance, m.B)


def test_a_dataclass_that_gains_a_field_without_a_default_says_so(load: Any) -> None:
    m = load("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n")
    old = m.P(1)
    update = m.edit("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int\n    z: int = 3\n")
    assert update.remarks == ["P values made before have no 'y': give it a default, or set it"]
    assert (old.z, m.P(1, 2) == m.P(1, 2), isinstance(old, m.P)) == (3, True, True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("class P:\n    __slots__ = ('x',)\n", "class P:\n    __slots__ = ('x', 'y')\n"),
        ("class P(dict): ...\n", "class P(list): ...\n"),
        (
            "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 1\n",
            "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 1\n    y: int = 1\n",
        ),
        (
            "from dataclasses import dataclass\n@dataclass(slots=True)\nclass P:\n    x: int = 0\n",
            "from dataclasses import dataclass\n@dataclass(slots=True)\nclass P:\n    x: int = 0\n    y: int = 0\n",
        ),
    ],
)
def test_what_cannot_change_in_place_is_replaced(load: Any, before: str, after: str) -> None:
    m = load(before)
    old, instance = m.P, m.P()
    update = m.edit(after)
    assert m.P is not old
    assert type(instance) is old
    m.P()
    (remark,) = update.remarks
    assert remark.startswith("P was replaced, since ")


def test_a_class_with_a_metaclass_of_its_own_is_replaced(load: Any) -> None:
    import pydantic

    m = load("import pydantic\nclass P(pydantic.BaseModel):\n    x: int = 1\nclass Q(pydantic.BaseModel):\n    p: P\n")
    old = m.P
    update = m.edit(m.source.replace("x: int = 1", "x: int = 1\n    y: int = 2"))
    assert m.P is not old
    assert m.Q(p={"x": 3}).p == m.P(x=3, y=2)  # made anew, since it reads P
    assert [remark.partition(",")[0] for remark in update.remarks] == ["P was replaced", "Q was replaced"]
    assert issubclass(m.P, pydantic.BaseModel)


def test_deleted_names_stay_deleted(load: Any) -> None:
    m = load("for _i in range(3):\n    pass\ntmp = 1\nx = tmp + 1\ndel tmp\n")
    m.edit(m.source + "y = 1\n")
    assert not hasattr(m.module, "tmp")


def test_enum_members_stay_the_same_objects(load: Any) -> None:
    m = load("from enum import Enum, StrEnum\nclass C(Enum):\n    RED = 1\n    BLUE = 2\nclass S(StrEnum):\n    A = 'a'\n")
    red, a, cls = m.C.RED, m.S.A, m.C
    m.edit("""
        from enum import Enum, StrEnum
        class C(Enum):
            RED = 1
            GREEN = 3
            def shout(self): return self.name + "!"
        class S(StrEnum):
            A = 'a'
            B = 'b'
        """)
    assert m.C is cls
    assert m.C.RED is red is m.C(1) is m.C["RED"]
    assert red.shout() == "RED!"
    assert m.C.GREEN is m.C(3)
    assert isinstance(m.C.GREEN, cls)
    assert [member.name for member in m.C] == ["RED", "GREEN"]
    assert not hasattr(m.C, "BLUE")
    with pytest.raises(ValueError, match="2 is not a valid"):
        m.C(2)
    assert (m.S.A is a, m.S.B == "b", list(m.S)) == (True, True, ["a", "b"])


def test_a_registered_struct_can_change(load: Any) -> None:
    from beamish.etf import decode, encode
    from beamish.term import structs

    source = """
        from dataclasses import dataclass
        from beamish.term.structs import struct
        @struct("Elixir.ReloadedOrder")
        @dataclass
        class Order:
            id: int = 0
        """
    m = load(source)
    old = m.Order(3)
    try:
        m.edit(source.replace("id: int = 0", "id: int = 0\n            total: int = 7"))
        assert decode(encode(m.Order(1, 2))) == m.Order(1, 2)
        assert type(decode(encode(old))) is m.Order
        assert decode(encode(old)).total == 7
    finally:
        structs._classes.pop(structs.atom("Elixir.ReloadedOrder"), None)


def test_imports_run_again_and_bring_changes(load: Any) -> None:
    a = load("LIMIT = 1\nOTHER = 1\nclass Base:\n    def f(self): return 1\n", "edited_a")
    b = load("import edited_a\nfrom edited_a import LIMIT as top, Base\nn = top * 10\no = edited_a.OTHER + 1\n", "edited_b")
    b.module.o = "kept"
    update = a.edit("LIMIT = 2\nOTHER = 1\nclass Base:\n    def f(self): return 2\n")
    changed = b.edit(b.source, others={"edited_a": update}).changed
    assert (b.n, b.o) == (20, "kept")
    assert changed == {"top": "data", "n": "data", "Base": "code"}


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("x = 2\ndef f(): return 2\nclass C:\n    def g(self): return 2\nimport no_such_module_at_all\n", ImportError),
        ("x = 2\ndef f(): return 2\nclass C:\n    def g(self): return 2\n1 / 0\n", ZeroDivisionError),
        ("del x\ndef f(): return 2\nclass C:\n    def h(self): return 2\nraise SystemExit(3)\n", SystemExit),
    ],
)
def test_a_broken_edit_leaves_nothing_behind(load: Any, broken: str, error: type[BaseException]) -> None:
    m = load("x = 1\ndef f(): return 1\nclass C:\n    def g(self): return 1\n")
    names, instance, held = dict(vars(m.module)), m.C(), m.f
    with pytest.raises(error):
        m.edit(broken)
    assert vars(m.module) == names
    assert (m.x, held(), instance.g(), hasattr(m.C, "h")) == (1, 1, 1, False)


def test_unchanged_functions_that_moved_have_the_right_lines(load: Any) -> None:
    m = load("def f():\n    raise ValueError\nclass C:\n    def g(self):\n        raise ValueError\n")
    held = m.C.g
    m.edit("# one\n# two\n\ndef f():\n    raise ValueError\nx = 1\nclass C:\n    def g(self):\n        raise ValueError\n")
    assert m.f.__code__.co_firstlineno == 4
    assert held.__code__.co_firstlineno == 8


def test_without_the_old_source_everything_runs(load: Any) -> None:
    m = load("x = []\ndef f(): return 1\n")
    m.x.append(1)
    held = m.f
    update_module(
        m.module, None, read_statements("x = []\ndef f(): return 2\n", "m.py"), filename="m.py", undo=UndoLog(), others={}
    )
    assert (m.x, held()) == ([], 2)


def test_star_imports(load: Any) -> None:
    a = load("one = 1\n", "edited_a")
    b = load("from edited_a import *\ntwo = one * 2\n", "edited_b")
    update = a.edit("one = 5\nthree = 3\n")
    b.edit(b.source, others={"edited_a": update})
    assert (b.one, b.two, b.three) == (5, 10, 3)


def test_names_that_are_kept_while_they_are_equal(load: Any) -> None:
    m = load("from typing import Final\nnames = ('a', 'b')\n")
    held = m.names
    update = m.edit("from typing import Final\nnames: Final = ('a', 'b')\n")
    assert m.names is held
    assert update.changed == {}
