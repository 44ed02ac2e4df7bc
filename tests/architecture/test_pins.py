"""Everything that is installed for the project is the version that pyproject.toml pins."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))


def direct() -> list[Requirement]:
    groups = [*PROJECT["project"]["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    return [Requirement(line) for line in sum(groups, PROJECT["project"]["dependencies"])]


def pins() -> dict[str, str]:
    lines = [*direct(), *map(Requirement, PROJECT["tool"]["uv"]["constraint-dependencies"])]
    return {
        canonicalize_name(line.name): str(line.specifier) for line in lines if not line.marker or line.marker.evaluate()
    }


def closure() -> dict[str, str]:
    """Name and installed version of every distribution that the direct ones need here."""
    found: dict[str, str] = {}
    todo = direct()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        try:
            found.setdefault(name, version(name))
        except PackageNotFoundError:
            continue
        for line in requires(name) or ():
            needed = Requirement(line)
            extras = requirement.extras or {""}
            wanted = not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in extras)
            if wanted and canonicalize_name(needed.name) not in found:
                todo.append(needed)
    return found


def test_direct_dependencies_are_exact() -> None:
    assert all(str(requirement.specifier).startswith("==") for requirement in direct())


@pytest.mark.parametrize("name", sorted(closure()))
def test_an_installed_distribution_is_pinned(name: str) -> None:
    assert pins().get(name) == f"=={closure()[name]}"
