"""Links lead somewhere, within the repository and within the site; words are spelled right."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.usefixtures("host_only")
ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "_build" / "html"
OF_SITE = ("auto_course", "auto_gallery", "auto_inside")  # made when the site is built
LINK = re.compile(r"(?<!`)\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.M | re.S)


def documents() -> list[str]:
    """The files of Markdown that git would keep, by their paths."""
    found = [*ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    inside = [path.relative_to(ROOT) for path in found]
    return sorted(path.as_posix() for path in inside if "_build" not in path.parts)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's titles, as GitHub and the site make them."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("name", documents())
def test_the_links_of_a_document_lead_somewhere(name):
    text = FENCED.sub("", (ROOT / name).read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if (
            urlsplit(link).scheme
            or any(part in path for part in OF_SITE)
            or anchor.startswith("portable")
        ):
            continue
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), f"{name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name}: {link}"


class Page(HTMLParser):
    """What a page links to, and the places that can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and tag != "use":
                self.links.append(value)
            if name in ("id", "name") and value:
                self.places.add(value)


def test_the_links_within_the_site_lead_somewhere():
    if not SITE.exists():
        pytest.skip("the site has not been built: nox -s docs")
    pages = {path: Page(path) for path in SITE.rglob("*.html") if "_static" not in path.parts}
    broken = set()
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("data:"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            place = unquote(parts.fragment)
            is_there = target.exists() and (
                not place or target not in pages or place in pages[target].places
            )
            if not is_there:
                broken.add(f"{path.relative_to(SITE)}: {link}")
    assert not broken, sorted(broken)


def test_no_page_of_the_site_loads_anything_from_elsewhere():
    if not SITE.exists():
        pytest.skip("the site has not been built: nox -s docs")
    loading = re.compile(
        r"""<(?:script|img|link|iframe)[^>]*?(?:src|href)=["'](https?:)?//[^"']*["'][^>]*>"""
    )
    for path in SITE.rglob("*.html"):
        found = [tag[0] for tag in loading.finditer(path.read_text(encoding="utf-8"))]
        assert not [tag for tag in found if 'rel="canonical"' not in tag], path


class Words(HTMLParser):
    """What a page says, without its code and its formulas."""

    ASIDE = frozenset({"pre", "code", "script", "style", "math", "head"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.aside: list[str] = []
        self.said: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.ASIDE:
            self.aside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.aside and tag == self.aside[-1]:
            self.aside.pop()

    def handle_data(self, data: str) -> None:
        if not self.aside:
            self.said.append(data)


def test_no_page_of_the_site_shows_its_markup():
    if not SITE.exists():
        pytest.skip("the site has not been built: nox -s docs")
    markup = re.compile(r"""``|`\w[^`]*`|:\w+:`|\\(?:frac|mathbb|sum)|\]\(\w+\.\w|^\.\. \w""", re.M)
    shown = set()
    for path in SITE.rglob("*.html"):
        if "_static" not in path.parts:
            said = "".join(Words(path).said)
            shown |= {f"{path.relative_to(SITE)}: {found[0]}" for found in markup.finditer(said)}
    assert not shown, sorted(shown)


def test_words_are_spelled_right():
    if shutil.which("codespell") is None and not (Path(sys.executable).parent / "codespell").exists():
        pytest.skip("codespell is not installed")
    beside = Path(sys.executable).parent / "codespell"
    command = [str(beside) if beside.exists() else "codespell"]
    done = subprocess.run([*command, *SPELLED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


SPELLED = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md"),
    *("docs", "portable_nn", "examples", "--skip", "*/_build/*,*/auto_*/*,*/generated/*,*/fonts/*"),
    *("--ignore-words-list", "statics,tourch"),
)
