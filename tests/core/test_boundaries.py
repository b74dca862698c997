"""The walls between the rooms of the package, and what importing it may cost."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "napari_dinoprompt"

QT = (
    "PyQt5",
    "PyQt6",
    "PySide2",
    "PySide6",
    "qtpy",
    "superqt",
    "magicgui",
    "napari.qt",
    "napari._qt",
)
COMPUTING = ("torch", "timm", "scipy", "skimage")

# A folder imports only what stands above it; the package itself may import all.
FLOORS = (
    "core",
    "core.images",
    "core.io",
    "core.tiling",
    "core.backbones",
    "core.features",
    "core.masks",
    "core.objects",
    "core.scoring",
    "core.references",
    "core.segmentation",
    "core.comparison",
    "core.batch",
    "core.prompt_study",
    "core.autosave",
    "sample_data",
    "layers",
    "session",
    "_qt.common",
    "_qt.segment",
    "_qt.references",
    "_qt.compare",
    "_qt.study",
    "_qt.recovery",
    "_qt",
    "_cli",
    "",
)


def imported_names(source: str, folder: str = "") -> Iterator[str]:
    """Yield the dotted name of everything that is imported, wherever in the file.

    For ``from a import b`` both ``a`` and ``a.b``, since b may be a module. What is
    imported from the file's own folder, ``from .a import b``, is left out if the folder
    is not given.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom(module=module, names=names, level=1) if folder:
                modules = [module] if module else [alias.name for alias in names]
                yield from (f"{folder}.{one}" for one in modules)
            case ast.ImportFrom(level=level):
                assert level < 2, "only the own folder is imported from by a dot"
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield module


def within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def trespassers(files: list[Path], forbidden: tuple[str, ...]) -> list[str]:
    assert files, "nothing to check: has the room moved?"
    return [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files
        for name in imported_names(path.read_text(encoding="utf-8"))
        if within(name, forbidden)
    ]


def our_imports() -> dict[str, set[str]]:
    """Return the modules that each module imports, for typing and late ones too."""
    files = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        files[name] = path.read_text(encoding="utf-8")
    ours = f"{PACKAGE.name}."
    return {
        name: {
            found
            for full in imported_names(source, f"{ours}{folder_of(name)}".rstrip("."))
            if (found := full.removeprefix(ours)) in files
            and full.startswith(ours)
            and found != name
        }
        for name, source in files.items()
    }


def folder_of(module: str) -> str:
    return (
        module
        if (PACKAGE / module.replace(".", "/")).is_dir()
        else (module.rpartition(".")[0])
    )


def upward(imports: dict[str, set[str]], floors: tuple[str, ...]) -> list[str]:
    """List the imports that run from a folder to one below it."""
    return [
        f"{module} imports {other}"
        for module, others in sorted(imports.items())
        for other in sorted(others)
        if floors.index(folder_of(other)) > floors.index(folder_of(module))
    ]


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Find modules that import each other in a circle; none if there is none."""
    left = {module: set(others) for module, others in imports.items()}
    while free := [module for module, others in left.items() if not others & set(left)]:
        for module in free:
            del left[module]
    return sorted(left)


def test_folders_import_only_what_stands_above_them() -> None:
    imports = our_imports()
    assert len(imports) > 100
    assert {folder_of(module) for module in imports} == set(FLOORS)
    assert not upward(imports, FLOORS)
    # The check itself sees an arrow that runs up.
    assert upward({"core.masks.volumes": {"core.batch.run"}}, FLOORS)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert not circle(our_imports())
    # What hangs on a circle is left with it.
    knot = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert circle(knot) == ["a", "b", "c"]


def test_nothing_is_imported_by_its_name_as_text() -> None:
    assert not [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"import_module|__import__", path.read_text(encoding="utf-8"))
    ]


def run_python(code: str) -> str:
    """Run code in a fresh interpreter, which has imported nothing of ours yet."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("from skimage import measure", {"skimage", "skimage.measure"}),
        ("def f():\n    import timm", {"timm"}),
        ("import importlib\nimportlib.import_module('scipy')", {"importlib", "scipy"}),
        ("from .torch import nn", set()),
    ],
)
def test_the_check_itself_sees_imports(source: str, found: set[str]) -> None:
    assert set(imported_names(source)) == found


def test_the_check_sees_imports_from_the_own_folder() -> None:
    for source in ("from .a import b", "from . import a"):
        assert set(imported_names(source, "core.io")) == {"core.io.a"}
    with pytest.raises(AssertionError):
        list(imported_names("from ..a import b", "core.io"))


def test_core_names_neither_napari_nor_qt() -> None:
    assert not trespassers(sorted(PACKAGE.glob("core/**/*.py")), ("napari", *QT))


def test_core_loads_neither_napari_nor_qt() -> None:
    """Every module of core, imported for real: catches what comes in by a detour."""
    report = run_python(
        """
import importlib, json, pkgutil, sys
from napari_dinoprompt import core

def fail(name):
    raise

modules = ["napari_dinoprompt.core"]
modules += [
    module.name
    for module in pkgutil.walk_packages(core.__path__, core.__name__ + ".", fail)
]
for name in modules:
    importlib.import_module(name)
print(json.dumps({"imported": modules, "loaded": sorted(sys.modules)}))
"""
    )
    report = json.loads(report)
    assert len(report["imported"]) > 1
    assert not [name for name in report["loaded"] if within(name, ("napari", *QT))]


def test_qt_does_not_compute() -> None:
    assert not trespassers(sorted(PACKAGE.glob("_qt/**/*.py")), COMPUTING)


@pytest.mark.parametrize("module", ["layers/*.py", "session/*.py"])
def test_state_and_layers_know_no_qt(module: str) -> None:
    found = sorted(PACKAGE.glob(module))
    assert found
    assert not trespassers(found, QT)


def test_importing_the_package_pulls_in_nothing_heavy() -> None:
    code = """
import json, sys
import napari_dinoprompt
print(json.dumps(sorted(sys.modules)))
"""
    loaded = json.loads(run_python(code))
    heavy = (*COMPUTING, "numpy", "napari", *QT)
    assert not [name for name in loaded if within(name, heavy)]
    assert len([name for name in loaded if within(name, (PACKAGE.name,))]) == 1
