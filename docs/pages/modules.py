"""reference/collection.md and a page for each module, role and filter, from ``ansible-doc``."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from docs.pages.ansible_markup import paragraphs, rendered
from docs.pages.markup import cell, english, english_block, escape
from docs.texts import text

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "limani.nodes"
FOLDERS = {"module": "plugins/modules/*.py", "role": "roles/*", "filter": "plugins/filter/*.py"}
Doc = dict[str, Any]


def pages(lang: str) -> dict[str, str]:
    """All pages of the collection's reference."""
    found = {"reference/collection.md": index(lang)}
    for kind, name in everything():
        found[f"reference/{kind}s/{name}.md"] = role(lang, name) if kind == "role" else plugin(lang, kind, name)
    return found


def everything() -> list[tuple[str, str]]:
    """Kind and short name of all there is, sorted."""
    return [
        (kind, path.stem)
        for kind, pattern in FOLDERS.items()
        for path in sorted(ROOT.glob(pattern))
        if not path.stem.startswith("_")
    ]


@functools.cache
def documentation(kind: str) -> dict[str, Doc]:
    """What ansible-doc says about all of a kind, by short name."""
    names = [f"{COLLECTION}.{name}" for found, name in everything() if found == kind]
    program = Path(sys.executable).with_name("ansible-doc")
    done = subprocess.run([program, "-t", kind, "-j", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ansible-doc -t {kind} failed: {done.stderr.strip()}")
    return {name.removeprefix(f"{COLLECTION}."): doc for name, doc in json.loads(done.stdout).items()}


def summary(kind: str, name: str) -> str:
    """One line about it, as Ansible markup."""
    doc = documentation(kind)[name]
    said = doc["entry_points"]["main"]["short_description"] if kind == "role" else doc["doc"]["short_description"]
    return str(said)


def index(lang: str) -> str:
    """What is in the collection."""
    lines = [f"# {text(lang, 'collection.title')} {{#collection}}\n", text(lang, "collection.intro") + "\n"]
    for kind in FOLDERS:
        lines += [f"## {text(lang, f'collection.{kind}s')} {{#{kind}s}}\n"]
        lines += [f"| {text(lang, 'collection.name')} | {text(lang, 'collection.what')} |", "|---|---|"]
        for found, name in everything():
            if found == kind:
                said = english(lang, cell(rendered(summary(kind, name), kind, name, "")))
                lines.append(f"| [`{COLLECTION}.{name}`]({kind}s/{name}.md) | {said} |")
        lines.append("")
    return "\n".join(lines)


def plugin(lang: str, kind: str, name: str) -> str:
    """The page of a module or a filter."""
    found = documentation(kind)[name]
    doc = found["doc"]
    lines = [*opening(lang, kind, name, doc["description"])]
    if doc.get("requirements"):
        lines += section(lang, "requirements", bullets(lang, doc["requirements"], kind, name))
    lines += section(lang, "options", options(lang, doc.get("options") or {}, kind, name))
    if doc.get("notes"):
        lines += section(lang, "notes", bullets(lang, doc["notes"], kind, name))
    if found.get("examples"):
        lines += section(lang, "examples", f"```yaml\n{found['examples'].strip()}\n```\n")
    if found.get("return"):
        lines += section(lang, "return", returned(lang, found["return"], kind, name))
    return "\n".join(lines)


def role(lang: str, name: str) -> str:
    """The page of a role."""
    main = documentation("role")[name]["entry_points"]["main"]
    lines = [*opening(lang, "role", name, main["description"])]
    lines += section(lang, "variables", options(lang, main["options"], "role", name))
    return "\n".join(lines)


def opening(lang: str, kind: str, name: str, description: Any) -> Iterator[str]:
    """Title and description."""
    yield f"# {name} {{#{name.replace('_', '-')}}}\n"
    yield text(lang, f"collection.this-{kind}", name=f"`{COLLECTION}.{name}`") + "\n"
    yield english_block(lang, paragraphs(description, kind, name)) + "\n"


def section(lang: str, key: str, content: str) -> list[str]:
    """A heading and what is below it."""
    return [f"## {text(lang, f'collection.{key}')} {{#{key}}}\n", content]


def bullets(lang: str, items: list[str], kind: str, name: str) -> str:
    """A list of sentences."""
    inner = "".join(f"<li>{rendered(item, kind, name)}</li>" for item in items)
    return f"<ul{language(lang)}>{inner}</ul>\n"


def language(lang: str) -> str:
    """The attribute for English HTML on a page that is not."""
    return "" if lang == "en" else ' lang="en"'


def options(lang: str, specification: Doc, kind: str, name: str) -> str:
    """A table of options, suboptions below theirs."""
    head = f"<th>{text(lang, 'collection.option')}</th><th>{text(lang, 'collection.meaning')}</th>"
    rows = "\n".join(option_rows(lang, specification, kind, name, ""))
    return f'<table class="options"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>\n'


def option_rows(lang: str, specification: Doc, kind: str, name: str, above: str) -> Iterator[str]:
    """The rows of options below the option ``above`` ("" or ending in a dot)."""
    for option, about in specification.items():
        path = f"{above}{option}"
        facts = [f'<code id="option-{escape(path)}">{escape(path)}</code>', type_of(about)]
        if about.get("required"):
            facts.append(f"<strong>{text(lang, 'collection.required')}</strong>")
        said = paragraphs(about["description"], kind, name)
        if about.get("choices"):
            said += f"<p>{text_in(lang, 'collection.choices')} {codes(about['choices'])}</p>"
        if about.get("default") is not None:
            said += f"<p>{text_in(lang, 'collection.default')} {codes([about['default']])}</p>"
        yield f"<tr><td>{'<br>'.join(facts)}</td><td{language(lang)}>{said}</td></tr>"
        yield from option_rows(lang, about.get("suboptions") or about.get("options") or {}, kind, name, f"{path}.")


def text_in(lang: str, key: str) -> str:
    """A text of the frame inside English text."""
    return text(lang, key) if lang == "en" else f'<span lang="{lang}">{text(lang, key)}</span>'


def type_of(about: Doc) -> str:
    """For example "list of str"."""
    elements = f" of {about['elements']}" if about.get("elements") else ""
    return f'<small lang="en">{about.get("type", "str")}{elements}</small>'


def codes(values: list[Any]) -> str:
    """Values as they are written in YAML."""
    return ", ".join(
        f"<code>{escape(value if isinstance(value, str) else json.dumps(value))}</code>" for value in values
    )


def returned(lang: str, specification: Doc, kind: str, name: str) -> str:
    """A table of what comes back, and a sample where there is one."""
    head = "".join(f"<th>{text(lang, f'collection.{key}')}</th>" for key in ("key", "meaning"))
    rows = "\n".join(return_rows(lang, specification, kind, name, ""))
    return f'<table class="options"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>\n'


def return_rows(lang: str, specification: Doc, kind: str, name: str, above: str) -> Iterator[str]:
    """The rows of values below ``above``."""
    for key, about in specification.items():
        path = f"{above}{key}"
        said = paragraphs(about["description"], kind, name)
        when = rendered(str(about.get("returned", "always")), kind, name)
        said += f"<p>{text_in(lang, 'collection.returned')} {when}</p>"
        if "sample" in about and not above:
            said += f"<pre><code>{escape(sample(about['sample']))}</code></pre>"
        facts = f"<code>{escape(path)}</code><br>{type_of(about)}"
        yield f"<tr><td>{facts}</td><td{language(lang)}>{said}</td></tr>"
        yield from return_rows(lang, about.get("contains") or {}, kind, name, f"{path}.")


def sample(value: Any) -> str:
    """A sample as YAML."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100).removesuffix("...\n").rstrip()
