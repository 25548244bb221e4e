"""The search box, in a real browser over the real pages."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.site.axe import FINDINGS
from tests.site.visitor import ORIGIN, Visitor

pytestmark = pytest.mark.site

# What a Greek types (with and without accents, other cases and numbers, other words for the same), and a page to find.
GREEK = {
    "κόμβος": "/el/guides/lab-cluster.html",
    "Κόμβοι": "/el/guides/lab-cluster.html",
    "κομβος": "/el/guides/lab-cluster.html",
    "ΚΟΜΒΟΣ": "/el/guides/lab-cluster.html",
    "κόμβων": "/el/guides/lab-cluster.html",
    "εικόνα": "/el/guides/seed-images.html",
    "Εικόνες": "/el/guides/seed-images.html",
    "εικονα": "/el/guides/seed-images.html",
    "εικόνων": "/el/guides/seed-images.html",
    "προγράμματα": "/el/guides/lab-cluster.html",
    "πρόγραμμα": "/el/guides/lab-cluster.html",
    "δίκτυο": "/el/security.html",
    "υπηρεσίες": "/el/glossary.html",
    "σφαλματα": "/el/reference/errors.html",
    "ασφάλειας": "/el/security.html",
    "μαθηματα": "/el/lessons/",
    "επιπεδο ελεγχου": "/el/developing/architecture.html",
    "διεργασία": "/el/guides/lab-cluster.html",
    "κοντέινερ": "/el/lessons/first-success.html",
    "μητρώο": "/el/guides/seed-images.html",
    "συστάδες": "/el/guides/lab-cluster.html",
}
ENGLISH = {
    "node": "/guides/lab-cluster.html",
    "nodes": "/guides/lab-cluster.html",
    "image": "/guides/seed-images.html",
    "security": "/security.html",
    "lesson": "/lessons/",
    "k8s_node_image": "/reference/modules/k8s_node_image.html",
}
NONSENSE = [
    "μήλο",
    "αεροπλάνο",
    "ξυλόφωνο",
    "κουνουπίδι",
    "καλαθοσφαίριση",
    "τζατζίκι",
    "μπλιμπλίκι",
    "ελέφαντας",
    "ηφαίστειο",
    "qwertyzx",
]


class Box:
    """The search box of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def find(self, words: str) -> list[str]:
        """Type words; the paths of the pages listed when the answer is there."""
        self.page.locator("#finder-words").fill(words)
        self.page.wait_for_function("words => document.getElementById('finder').dataset.answered === words", arg=words)
        links = self.page.eval_on_selector_all("#finder-results li > a:first-child", "all => all.map(a => a.href)")
        return [urlsplit(link).path for link in links]

    @property
    def status(self) -> str:
        """What is announced."""
        return self.page.locator("#finder-status").inner_text()


def opened(page: Page, url: str) -> Box:
    """A page with its search box open."""
    page.goto(url)
    page.keyboard.press("/")
    return Box(page)


def test_greek_words_are_found_in_any_form(page: Page) -> None:
    """Twenty Greek queries without accents, in other forms and by other names find their page, and only Greek pages."""
    box = opened(page, f"{ORIGIN}/el/start.html")
    found = {words: box.find(words) for words in GREEK}
    assert {words: pages for words, pages in found.items() if GREEK[words] not in pages} == {}
    assert [path for pages in found.values() for path in pages if not path.startswith("/el/")] == []


def test_english_words_are_found(page: Page) -> None:
    """English queries find their page, and no Greek one."""
    box = opened(page, f"{ORIGIN}/start.html")
    found = {words: box.find(words) for words in ENGLISH}
    assert {words: pages for words, pages in found.items() if ENGLISH[words] not in pages} == {}
    assert [path for pages in found.values() for path in pages if path.startswith("/el/")] == []


@pytest.mark.parametrize(("start", "said"), [("/start.html", "No page has that."), ("/el/start.html", "Δεν βρέθηκε")])
def test_nonsense_is_not_found(page: Page, start: str, said: str) -> None:
    """Ten words no page has list nothing, and the box says so in the page's language."""
    box = opened(page, ORIGIN + start)
    for words in NONSENSE:
        assert box.find(words) == [], words
        assert said in box.status


def test_the_box_by_keyboard_alone(page: Page) -> None:
    """Slash opens it, arrows move through the results, Enter follows one, Escape closes and gives the focus back."""
    box = opened(page, f"{ORIGIN}/el/start.html")
    focus = "document.activeElement.id || document.activeElement.closest('li, body').tagName"
    assert page.evaluate(focus) == "finder-words"
    assert box.find("κόμβος")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focus) == "LI"
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focus) == "finder-words"
    page.keyboard.press("Escape")
    assert not page.locator("#finder").is_visible()
    page.locator("#finder-open").focus()
    page.keyboard.press("Enter")
    first = box.find("σφαλματα")[0]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{first}*")


def test_the_open_box_is_accessible(browser: Browser, site: Path, axe: str) -> None:
    """axe finds nothing in the open box with results, light and dark."""
    for scheme in ("light", "dark"):
        visitor = Visitor(browser, site, color_scheme=scheme, reduced_motion="reduce")
        visitor.context.add_init_script(axe)
        assert opened(visitor.page, f"{ORIGIN}/el/start.html").find("εικόνα")
        assert visitor.page.evaluate(FINDINGS) == []
        visitor.close()
