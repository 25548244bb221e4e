"""A lesson's Markdown as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from limani.lab.serve.render import Command, Words, render

WORDS = Words("Type it", "Type it into the terminal", "Printed on {captured}", "exit code {code}", "File {path}")
COMMANDS = {
    "get": Command("kubectl get pods", "NAME\n<none>", "21 November 2026", 0),
    "bad": Command("false", "", "21 November 2026", 1),
    "quoted": Command("echo \"a\" '<b>' && cat <<E\n&amp;\nE"),
}


class Buttons(HTMLParser):
    """What the buttons would type, as a browser reads it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.commands: list[str] = []
        self.labels: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "button":
            found = dict(attrs)
            self.commands.append(found["data-command"] or "")
            self.labels.append(found["aria-label"] or "")


def html(markdown: str) -> str:
    return render(markdown, COMMANDS.__getitem__, {"pod.yaml": "kind: <Pod>\n"}.__getitem__, WORDS)


def test_raw_html_stays_text() -> None:
    """Neither a block nor a span of HTML in a lesson becomes HTML, nor does a link that would run a script."""
    made = html("<script>alert(1)</script>\n\nA <b onclick=x>word</b> [here](javascript:alert(1)).\n")
    assert "<script" not in made
    assert "<b" not in made
    assert "href" not in made


def test_step() -> None:
    """A step has its command, a button that types exactly that, and what it printed with date and exit code."""
    made = html("```step\nget\n```\n\n```step\nbad\n```\n\n```step\nquoted\n```\n")
    assert Buttons(made).commands == [COMMANDS[name].run for name in ("get", "bad", "quoted")]
    assert all(label.startswith("Type it") for label in Buttons(made).labels)
    assert "Printed on 21 November 2026</summary>" in made
    assert "Printed on 21 November 2026, exit code 1</summary>" in made
    assert "NAME\n&lt;none&gt;" in made
    assert made.count("<details>") == 2
    assert 'id="step-get"' in made


def test_file_and_mermaid() -> None:
    """A file is shown under its name; a diagram is left out, since the text after it says the same."""
    made = html("```file\npod.yaml\n```\n\n```mermaid\ngraph LR\n```\n\nIn words.\n\n```\nplain\n```\n")
    assert "File pod.yaml" in made
    assert "kind: &lt;Pod&gt;" in made
    assert "graph" not in made
    assert "In words." in made
    assert ">plain\n</code>" in made


@pytest.mark.parametrize("fence", ["step\nmissing", "file\n../../secret"])
def test_unknown_names_are_refused(fence: str) -> None:
    """A step or file that does not exist is an error, not an empty place."""
    with pytest.raises(KeyError):
        html(f"```{fence}\n```\n")


def test_heading_ids_tables_and_links() -> None:
    """Headings carry the ids they name; tables can be scrolled by keyboard; other servers open in another tab."""
    made = html("## Delete `it` {#delete-it}\n\n| a |\n|---|\n| b |\n\n<http://127.0.0.1:8080/> and [up](#delete-it)\n")
    assert '<h2 id="delete-it">Delete <code>it</code></h2>' in made
    assert '<table tabindex="0">' in made
    assert '<a href="http://127.0.0.1:8080/" target="_blank" rel="noopener noreferrer">' in made
    assert '<a href="#delete-it">up</a>' in made
