"""Every public name says what it takes, gives back and raises."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections import ChainMap
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import pytest

import napari_dinoprompt as dp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)


def sections(of: object) -> dict[str, str]:
    """Split a docstring into what stands under each underlined title."""
    text = inspect.getdoc(of) or ""
    parts = _SECTION.split(text)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> dict[str, str]:
    """Return the names a section lists, with the type beside each."""
    found = {}
    for line in section.splitlines():
        names, colon, kind = line.partition(" : ")
        if line and not line.startswith(" "):
            for name in names.split(","):
                found[name.strip().lstrip("*")] = kind if colon else ""
    return found


def public() -> Iterator[tuple[str, Any]]:
    """Yield everything that a user may call or read, with its dotted name."""
    for name in dp.__all__:
        thing = getattr(dp, name)
        yield name, thing
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            inherited = [vars(one) for one in thing.__mro__ if "dinoprompt" in str(one)]
            for attribute, raw in ChainMap(*inherited).items():
                if not attribute.startswith("_") and (
                    callable(raw) or isinstance(raw, property | classmethod)
                ):
                    unbound = raw.__func__ if isinstance(raw, classmethod) else raw
                    yield f"{name}.{attribute}", unbound


EVERYTHING = dict(public())
CALLABLES = {
    name: thing for name, thing in EVERYTHING.items() if inspect.isfunction(thing)
}
CLASSES = {name: thing for name, thing in EVERYTHING.items() if is_dataclass(thing)}


@pytest.mark.parametrize("name", EVERYTHING)
def test_everything_says_what_it_is(name: str) -> None:
    first = sections(EVERYTHING[name])[""].strip()
    assert first.endswith((".", ":", "`")), f"{name} has no description"


@pytest.mark.parametrize("name", CALLABLES)
def test_parameters_are_those_of_the_signature(name: str) -> None:
    takes = set(inspect.signature(CALLABLES[name]).parameters) - {"self", "cls"}
    documented = entries(sections(CALLABLES[name]).get("Parameters", ""))
    assert set(documented) == takes
    untyped = [one for one, kind in documented.items() if not kind]
    assert not untyped, f"{name} does not tell the type of {untyped}"


@pytest.mark.parametrize("name", CALLABLES)
def test_results_are_told(name: str) -> None:
    told = sections(CALLABLES[name])
    gives = CALLABLES[name].__annotations__["return"]
    if gives in ("None", "NoReturn"):
        assert "Returns" not in told
    elif str(gives).startswith(("Iterator", "Generator")):
        assert "Yields" in told
    else:
        assert told.get("Returns", "").strip(), f"{name} does not tell what it returns"


@pytest.mark.parametrize("name", CLASSES)
def test_fields_are_told(name: str) -> None:
    told = sections(CLASSES[name])
    documented = entries(told.get("Attributes", "") + told.get("Parameters", ""))
    has = {field.name for field in fields(CLASSES[name]) if field.name[0] != "_"}
    assert has <= set(documented)


def raised(of: Callable[..., object]) -> set[str]:
    """Return the project's errors that a function raises by itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(of)))
    return {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }


@pytest.mark.parametrize("name", CALLABLES)
def test_errors_are_told(name: str) -> None:
    told = sections(CALLABLES[name]).get("Raises", "")
    missing = [error for error in raised(CALLABLES[name]) if error not in told]
    assert not missing


@pytest.mark.parametrize("name", dp.__all__)
def test_every_name_has_an_example(name: str) -> None:
    assert ">>> " in sections(EVERYTHING[name]).get("Examples", "")
