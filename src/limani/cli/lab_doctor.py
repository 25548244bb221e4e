"""``limani lab doctor``."""

from __future__ import annotations

import sys

import click

from limani.cli import output as out


@click.command()
@click.option("--lang", type=click.Choice(["en", "el"]), help="Language (default: LIMANI_LANG, LANG).")
@out.output_option
def doctor(lang: str | None, output: str) -> None:
    """Say whether lessons can run on this machine, what is missing and how to get it. Exit code 1 if some cannot."""
    from limani.lab import doctor as examination
    from limani.lab.lab import Lab
    from limani.lab.texts import say

    lab = Lab(lang=lang)
    checks = examination.examine(lab.home)
    able = {needs: examination.can_run(checks, needs) for needs in ("docker", "cluster")}
    shown = [check.to_dict(lab.lang) for check in checks]
    if output == "json":
        out.json({"docker": able["docker"], "cluster": able["cluster"], "checks": shown})
    else:
        heads = [say(lab.lang, f"doctor.head_{name}") for name in ("check", "state", "found")]
        out.table(heads, [(c["title"], say(lab.lang, f"doctor.{c['state']}"), c["found"]) for c in shown])
        for check in shown:
            if check["hint"]:
                click.echo(f"{check['title']}: {check['hint']}")
        for needs, can in able.items():
            click.echo(say(lab.lang, f"doctor.{needs}_{'yes' if can else 'no'}"))
    if not all(able.values()):
        sys.exit(1)
