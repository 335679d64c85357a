"""The verbs of `vivavoce`, put together."""

from __future__ import annotations

from typing import cast

import typer

from vivavoce.cli.call import call
from vivavoce.cli.denoise import denoise
from vivavoce.cli.doctor import doctor
from vivavoce.cli.evaluate import app as evaluate_app
from vivavoce.cli.evaluate_enhancement import enhancement
from vivavoce.cli.pipewire import app as pipewire_app
from vivavoce.cli.receive import receive
from vivavoce.cli.send import send
from vivavoce.cli.train import app as train_app

# typer carries its own click in some releases and depends on the real one in others
ClickException = cast("type[Exception]", typer.BadParameter.__mro__[2])

app = typer.Typer(
    name="vivavoce",
    help="The voice path of a live call.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("call")(call)
app.command("denoise")(denoise)
app.command("send")(send)
app.command("receive")(receive)
app.command("doctor")(doctor)
evaluate_app.command("enhancement")(enhancement)
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(pipewire_app, name="pipewire")
app.add_typer(train_app, name="train")


@app.callback(invoke_without_command=True)
def _top(version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True)) -> None:
    if version:
        from vivavoce import __version__

        typer.echo(f"vivavoce {__version__}")
        raise typer.Exit
