"""What README and docs say holds: links, pictures, commands, Python."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer

import napari_dinoprompt as dp
from napari_dinoprompt.cli import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
    if "_build" not in path.parts
}
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ANY_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE_IN_LINK = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")


def blocks(page: str, *languages: str) -> list[str]:
    text = PAGES[page].read_text(encoding="utf-8")
    return [code for language, code in _BLOCK.findall(text) if language in languages]


def prose(path: Path) -> str:
    return _ANY_BLOCK.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Name the headings as GitHub and MyST do."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        found.add(re.sub(r"[^\w\- ]", "", shown).strip().replace(" ", "-"))
    return found


def links(path: Path) -> list[str]:
    text = prose(path)
    pictures = _IMAGE_IN_LINK.findall(text)
    return [*pictures, *_LINK.findall(_IMAGE_IN_LINK.sub("", text))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = PAGES[page]
    broken = []
    for link in links(path):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (path.parent / place).resolve() if place else path
        exists = target.exists() and target.is_relative_to(ROOT)
        if not exists or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_all_pictures_are_shown_and_small() -> None:
    shown = {
        (path.parent / link).resolve()
        for path in PAGES.values()
        for link in links(path)
        if "images/" in link
    }
    there = set((DOCS / "images").iterdir())
    assert there == shown
    assert all(picture.stat().st_size < 400_000 for picture in there)


def test_every_page_is_in_the_contents() -> None:
    """In the tree of docs/index.md, which names pages without their suffix."""
    contents = (DOCS / "index.md").read_text(encoding="utf-8")
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", contents, re.M | re.DOTALL)
    listed = {line for tree in trees for line in tree.split() if line[0] != ":"}
    pages = {
        path.relative_to(DOCS).with_suffix("").as_posix()
        for path in PAGES.values()
        if path.is_relative_to(DOCS)
        and path.name != "index.md"
        and path.parent != DOCS / "faults"  # tables that a program wrote
    }
    assert pages <= listed


def command_lines(page: str) -> list[list[str]]:
    """Return what is typed after ``dinoprompt`` in the shell blocks of a page."""
    found = []
    for block in blocks(page, "sh", "bash", "shell"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|;", line):
                words = shlex.split(part, comments=True)
                if words and Path(words[0]).name == "dinoprompt":
                    found.append(words[1:])
    return found


COMMANDS = [(page, words) for page in PAGES for words in command_lines(page)]


@pytest.mark.parametrize(("page", "words"), COMMANDS)
def test_commands_are_understood(page: str, words: list[str]) -> None:
    """The real parser takes them; nothing is run."""
    group = typer.main.get_command(app)
    name, *options = words
    with group.make_context("dinoprompt", [name, *options]) as context:
        command = group.get_command(context, name)
        assert command is not None, f"{page}: no command {name}"
        with command.make_context(name, options, parent=context):
            pass


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("page", PAGES)
def test_inline_options_exist(page: str) -> None:
    group = typer.main.get_command(app)
    with group.make_context("dinoprompt", ["models"]) as context:
        for name, rest in re.findall(
            r"`dinoprompt ([a-z]+)([^`]*)`", prose(PAGES[page])
        ):
            command = group.get_command(context, name)
            assert command is not None, name
            known = {option for one in command.params for option in one.opts}
            assert {word for word in rest.split() if word.startswith("--")} <= known


@pytest.mark.parametrize("page", PAGES)
def test_python_compiles_and_names_exist(page: str) -> None:
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            match node:
                case ast.Attribute(value=ast.Name(id="dp"), attr=name):
                    assert name in dp.__all__


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/python.md"])
def test_python_runs(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Top to bottom on the sample; what a print shows stands in its comment."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in blocks(page, "python"):
        exec(compile(code, page, "exec"), names)
    said = capsys.readouterr().out
    told = re.findall(r"^print\(.*\)  # (.+)$", "\n".join(blocks(page, "python")), re.M)
    assert told
    assert [line for line in told if line not in said] == []
