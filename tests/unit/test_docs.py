"""Every link from one page of ours to a file is to a file that is there; names are unique where they must be."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("requirements/*.md")])


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their names alone: with two of one name the whole suite does not begin."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def links(page: Path) -> list[str]:
    text = page.read_text()
    found = re.findall(r'href="([^"]+)"', text) + re.findall(r"\]\(([^)\s]+)\)", text)
    return [link.split("#")[0] for link in found if "://" not in link and not link.startswith("#")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in links(page) if not (page.parent / link).exists()]
    assert not missing


def test_the_picture_has_straight_walls() -> None:
    """Lines between walls are as wide as the picture, links aside."""
    picture = re.search(r"<pre>\n(.*?)</pre>", (ROOT / "docs/architecture.md").read_text(), re.S)
    assert picture
    lines = re.sub(r"<[^>]+>", "", picture[1]).splitlines()
    walls = {len(line) for line in lines if line.startswith(("│", "┌", "└"))}
    assert len(walls) == 1
