"""The house keeps its shape: pure core, small modules, words residents understand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
PACKAGE = REPO / "nudges"
CORE = (
    "features", "outcomes", "eligibility", "draws", "estimators", "scoring", "uplift", "cards", "choice", "schedule",
    "sms", "rendering", "sending", "measuring", "money", "reporting",
)  # fmt: skip
WORDS = ("domain", "tables", "weeks", "errors")
FORBIDDEN_IMPORTS = {"os", "sys", "socket", "subprocess", "random", "shutil", "pathlib", "sqlite3", "requests", "httpx"}
FORBIDDEN_CALLS = {"open", "input", "print", "exec", "eval"}
FORBIDDEN_METHODS = {"now", "utcnow", "today", "read_text", "write_text", "read_bytes", "write_bytes"}
MAX_LINES = 300


def modules(*names: str) -> list[Path]:
    found: list[Path] = []
    for name in names:
        found += sorted((PACKAGE / name).rglob("*.py")) or [PACKAGE / f"{name}.py"]
    return [path for path in found if path.exists()]


def every_module() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *(REPO / "flows").rglob("*.py")])


def named(path: Path) -> str:
    return str(path.relative_to(REPO))


@pytest.mark.parametrize("path", modules(*CORE, *WORDS), ids=named)
def test_core_and_words_do_no_io(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        where = f"{named(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_IMPORTS, where
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_IMPORTS, where
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                assert node.func.id not in FORBIDDEN_CALLS, where
            elif isinstance(node.func, ast.Attribute):
                assert node.func.attr not in FORBIDDEN_METHODS, where


@pytest.mark.parametrize("path", every_module(), ids=named)
def test_modules_are_small_and_say_what_they_do(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES, f"{named(path)}: split it by noun"
    assert ast.get_docstring(ast.parse(text)), f"{named(path)}: say in the first line what it turns into what"


@pytest.mark.parametrize("path", every_module(), ids=named)
def test_only_edges_read_the_clock_and_the_environment(path: Path) -> None:
    edges = {"cli", "demo.py", "studio"}
    if path.relative_to(REPO).parts[0] == "flows" or path.relative_to(PACKAGE).parts[0] in edges:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            where = f"{named(path)}:{node.lineno}"
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            assert (owner, node.attr) not in {("os", "environ"), ("os", "getenv")}, where
            assert (owner, node.attr) not in {("datetime", "now"), ("date", "today"), ("time", "time")}, where


@pytest.mark.parametrize("path", sorted((REPO / "templates").glob("*.j2")), ids=named)
def test_residents_never_read_the_trade_word(path: Path) -> None:
    assert "contaminat" not in path.read_text().lower(), f"{path.name}: say what was in the bin instead"
