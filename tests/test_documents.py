"""What the documents name is there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md")
DOCUMENTS += ("docs/hosting.md",)
LINK = re.compile(r"\]\(([^)#]+)\)")
PATH = re.compile(r"`((?:\.ci|app|docs|model_hooks|models|pages|tests|training|viz)[\w./]*)`")


def named(document: str, pattern: re.Pattern[str]) -> list[str]:
    """Return what a document names, web addresses left out."""
    found = pattern.findall((ROOT / document).read_text(encoding="utf-8"))
    return [name for name in found if not name.startswith("http")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document):
    folder = (ROOT / document).parent
    assert [name for name in named(document, LINK) if not (folder / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_are_those_of_the_tree(document):
    paths = [name for name in named(document, PATH) if "/" in name or "." in name]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_documents_do_name_files():
    assert len(named("docs/architecture.md", PATH)) > 10
    assert len(named("README.md", LINK)) > 5


def test_newest_release_in_the_changelog_is_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\S+)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert releases[0] == project["version"]
    assert "## [Unreleased]" in changelog
