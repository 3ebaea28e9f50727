"""The site: it builds without a warning, and no link in it is dead."""

import inspect
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
    setting = plain[plain.index("num_epochs: int¶") :][:200]
    assert "Number of epochs." in setting
    assert "Default 100, at least 1, at most 1,000,000." in setting


def names_on(page):
    """Objects of the package that a page describes, in order."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r'<dt class="sig[^>]* id="(napari_hush[\w.]*)"', text)


def test_denoise_is_the_first_name_of_the_api(site):
    names = names_on(site / "api/careamist.html")
    assert names[0] == "napari_hush.denoise"
    assert "napari_hush.CAREamist.predict" in names


def test_members_are_in_the_order_of_the_source(site):
    import napari_hush
    from napari_hush import quality

    cls = napari_hush.CAREamist
    prefix = "napari_hush.CAREamist."
    names = [n.removeprefix(prefix) for n in names_on(site / "api/careamist.html")]
    methods = [n for n in names if inspect.isfunction(vars(cls).get(n))]
    assert len(methods) > 10
    assert methods == sorted(
        methods, key=lambda n: inspect.getsourcelines(getattr(cls, n))[1]
    )
    names = [n.split(".")[2] for n in names_on(site / "api/quality.html")]
    names = [n for n in dict.fromkeys(names) if callable(getattr(quality, n))]
    assert {*names} == {*quality.__all__}
    assert names == sorted(names, key=lambda n: place(getattr(quality, n)))


def place(found):
    """Module and line of a class or function."""
    return found.__module__, inspect.getsourcelines(found)[1]


def test_signatures_have_types_and_lead_to_their_source(site):
    text = (site / "api/careamist.html").read_text(encoding="utf-8")
    plain = " ".join(re.sub(r"<[^>]+>", "", text).split())
    assert "tta: bool | int = False" in plain
    for page in (site / "api").glob("*.html"):
        described = page.read_text(encoding="utf-8")
        assert "FieldInfo" not in described
        assert "&lt;function" not in described
        assert "~collections" not in described
    links = re.findall(r'href="\.\./(_modules/[\w/]+\.html)#([\w.]+)"', text)
    assert ("_modules/napari_hush/careamist/denoise.html", "denoise") in links
    for page in (site / "api").glob("*.html"):
        described, text = names_on(page), page.read_text(encoding="utf-8")
        assert not described or "_modules/" in text, page.name


def test_names_in_docstrings_are_links(site):
    text = (site / "api/quality.html").read_text(encoding="utf-8")
    assert 'href="careamist.html#napari_hush.CAREamist.get_losses"' in text
    assert 'href="#napari_hush.quality.check_residual"' in text


def test_notebooks_can_be_downloaded(site):
    targets = Page(site / "tutorials/index.html").targets
    found = {Path(target).name for target in targets if target.endswith(".ipynb")}
    assert found == {path.name for path in (DOCS / "notebooks").glob("*.ipynb")}


def test_no_page_of_ours_is_loaded_from_elsewhere(site):
    """The site works without a network: no script, style or picture of another host."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"https?:", text)


def test_pages_have_what_screen_readers_need(site):
    """Faults that show without a browser; scripts/accessibility finds the others."""
    pictures = 0
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert 'role="heading">' not in text, f"{path.name}: a heading without a level"
        assert 'type="submit"' in text, f"{path.name}: a search without a button"
        assert not re.search(r"<dl>\s*<dd>", text), f"{path.name}: a list without terms"
        ids = re.findall(r'<[^>]*\sid="([^"]+)"', text)
        assert len(ids) == len({*ids}), path.name
        for picture in re.findall(r"<img [^>]*/?_images/[^>]+>", text):
            assert re.search(r' alt="[^"]{20,}"', picture), picture
            assert re.search(r' width="\d+" height="\d+"', picture), picture
            pictures += 1
    assert pictures > 20
