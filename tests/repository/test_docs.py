"""The site: it builds without a warning, and no link in it is dead."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("myst_parser")
pytest.importorskip("furo")

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


class Page(HTMLParser):
    """Where a page leads to, and what in it can be led to."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.anchors = [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.targets += [named[key] for key in ("href", "src") if named.get(key)]
        self.anchors.add(named.get("id"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", out / ".doctrees"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, DOCS, out],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out


def test_every_link_leads_somewhere(site):
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 20
    dead = []
    for path, page in pages.items():
        for target in page.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            there = (path.parent / unquote(url.path)).resolve() if url.path else path
            known = pages[there].anchors if there in pages else {"", url.fragment}
            if not there.is_file() or unquote(url.fragment) not in known:
                dead.append(f"{path.name}: {target}")
    assert dead == []


def test_every_page_can_be_reached(site):
    """From the front page, by its own list of pages."""
    listed = Page(site / "index.html").targets
    for page in [*DOCS.glob("*.md"), *DOCS.glob("dev/*.md"), DOCS / "api/index.md"]:
        if page.stem != "index" or page.parent != DOCS:
            name = page.relative_to(DOCS).with_suffix(".html").as_posix()
            assert name in listed


def test_settings_come_with_default_and_bounds(site):
    text = (site / "api/config.html").read_text(encoding="utf-8")
    plain = re.sub(r"<[^>]+>", "", text)
    setting = plain[plain.index("num_epochs¶") :][:200]
    assert "Number of epochs." in setting
    assert "Default 100, at least 1, at most 1,000,000." in setting


def test_no_page_of_ours_is_loaded_from_elsewhere(site):
    """The site works without a network: no script, style or picture of another host."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"https?:", text)
