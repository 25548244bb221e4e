"""``limani``: the command and how it answers errors. Sub-commands are imported when they are used."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Any

import click

from limani.cli import output
from limani.errors import LimaniError

GARBAGE = 50_000
"""Objects made before Python looks for cycles: its own 700 make loading modules a fifth slower."""

COMMANDS = {
    "agent": ("limani.cli.agent", "agent", "Install, look at and remove the agents of a cluster."),
    "cluster": ("limani.cli.cluster", "cluster", "Make and look after lab clusters on this machine."),
    "images": ("limani.cli.images", "images", "List the images the nodes hold."),
    "lab": ("limani.cli.lab", "lab", "Learn Docker and Kubernetes: lessons on the real thing, with checks."),
    "load": ("limani.cli.images", "load", "Put images onto nodes."),
    "pin": ("limani.cli.images", "pin", "Protect images from the kubelet's garbage collection."),
    "prune": ("limani.cli.images", "prune", "Remove images nobody needs, by policy."),
    "rmi": ("limani.cli.images", "rmi", "Remove images from nodes."),
}


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own, so that ``limani --help`` loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limani", prog_name="limani")
def cli() -> None:
    """Look after what is on the nodes of a cluster."""


def main(args: list[str] | None = None) -> Any:
    """Run the command. Exit codes: 0 done, 1 failed, 2 bad input, 130 stopped by the user."""
    gc.set_threshold(GARBAGE)
    try:
        code = cli.main(args=args, prog_name="limani", standalone_mode=False)
    except LimaniError as error:
        output.error(error)
        sys.exit(2 if error.status == 400 else 1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("limani: stopped; what has arrived on the nodes is kept, run again to go on.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    finally:
        gc.freeze()  # the process ends: what is left need not be looked through once more
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
