"""The house: rooms without knots, one name for one class, classes of a size to be read, tests where the modules lie."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Graph = Mapping[str, set[str]]


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


TREES = {module_of(file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "app").rglob("*.py"))}
PACKAGES = {module_of(file) for file in (ROOT / "app").rglob("__init__.py")}


def imports_of(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Returns, for each name that is imported from `app` anywhere in the file, its module and its name there."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "app":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found[alias.asname or alias.name] = (whole, "") if whole in TREES else (node.module, alias.name)
    return found


IMPORTS = {module: imports_of(tree) for module, tree in TREES.items()}
CLASSES = {
    (module, node.name): node for module, tree in TREES.items() for node in tree.body if isinstance(node, ast.ClassDef)
}


def modules() -> Graph:
    return {module: {target for target, _ in names.values()} - {module} for module, names in IMPORTS.items()}


def folders(top: str) -> Graph:
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for module, targets in modules().items():
        for target in targets:
            here, there = (each if each in PACKAGES else each.rpartition(".")[0] for each in (module, target))
            if here != there and all(f"{each}.".startswith(f"{top}.") for each in (here, there)):
                graph[here].add(there)
    return graph


def cycle_of(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_knot_is_found() -> None:
    assert cycle_of({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(cycle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_no_module_imports_itself_through_others() -> None:
    """Imports in functions and under TYPE_CHECKING count."""
    assert cycle_of(modules()) == []


@pytest.mark.parametrize("top", ["app.cli", "app.engine", "app.tui"])
def test_folders_are_tied_in_no_knot(top: str) -> None:
    graph = folders(top)
    assert len(graph) > 3
    assert cycle_of(graph) == []


def test_no_public_class_has_a_namesake() -> None:
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for module, name in CLASSES:
        homes[name].append(module)
    assert {name: at for name, at in homes.items() if len(at) > 1 and not name.startswith("_")} == {}


TELLING = re.compile(r"(^|_)(told|tells?|telling)(_|$)|[a-z](Told|Tell|Teller)|^(Told|Tell|Teller)")


def identifiers(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        for field in ("id", "attr", "name", "arg", "asname"):
            if isinstance(value := getattr(node, field, None), str):
                yield value


def test_nothing_is_named_by_telling() -> None:
    named = {name for tree in TREES.values() for name in identifiers(tree)}
    assert "ChatScreen" in named
    assert sorted(name for name in named if TELLING.search(name)) == []


def test_tests_lie_where_the_modules_lie() -> None:
    homes = {folder.parent.relative_to(ROOT / "tests") for folder in (ROOT / "tests").rglob("test_*.py")}
    mirrored = [Path("app", *home.parts[1:]) for home in homes if home.parts[0] == "unit"]
    mirrored += [Path("app", *home.parts) for home in homes if home.parts[0] == "tui"]
    assert len(mirrored) > 20
    assert [path for path in mirrored if not (ROOT / path).is_dir()] == []


def extent(name: str, seen: set[str]) -> tuple[int, set[str]]:
    """Returns the lines and the methods of a class and of its own bases in `app`."""
    found = next((node for (_, each), node in CLASSES.items() if each == name), None)
    if found is None or name in seen:
        return 0, set()
    seen.add(name)
    n_lines = (found.end_lineno or found.lineno) - found.lineno + 1
    methods = {node.name for node in found.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    for base in found.bases:
        root = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(root, ast.Name):
            more, names = extent(root.id, seen)
            n_lines, methods = n_lines + more, methods | names
    return n_lines, methods


def test_no_class_is_too_large_to_be_read() -> None:
    """At most 400 lines and 40 methods, those of its own bases included."""
    extents = {name: extent(name, set()) for _, name in CLASSES}
    assert extents["ReplayScreen"][0] > extents["ChatScreen"][0]
    too_large = {name: (n, len(methods)) for name, (n, methods) in extents.items() if n > 400 or len(methods) > 40}
    assert too_large == {}


def test_no_docstring_points_at_its_module() -> None:
    docstrings = {
        f"{module}:{node.name}": ast.get_docstring(node) or ""
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert len(docstrings) > 1000
    assert [name for name, text in docstrings.items() if text.startswith("See the module")] == []
