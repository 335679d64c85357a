"""The `vivavoce` command: one file per verb.

Results go to stdout, progress and warnings to stderr. Whatever goes wrong is one line on stderr, with exit status 2 for
wrong usage and 1 for a failure.
"""

from __future__ import annotations

import signal
import sys

import typer

from vivavoce.cli.call import call
from vivavoce.cli.doctor import doctor
from vivavoce.cli.evaluate import app as evaluate_app
from vivavoce.cli.receive import receive
from vivavoce.cli.send import send
from vivavoce.errors import PacketError, VivavoceError

# typer carries its own click in some releases and depends on the real one in others
_ClickException = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="vivavoce",
    help="The voice path of a live call.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("call")(call)
app.command("send")(send)
app.command("receive")(receive)
app.command("doctor")(doctor)
app.add_typer(evaluate_app, name="evaluate")


@app.callback(invoke_without_command=True)
def _top(version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True)) -> None:
    if version:
        from vivavoce import __version__

        typer.echo(f"vivavoce {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; never shows a traceback."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    if sys.stdout is None:
        sys.exit(_complain("standard output is closed", 1))
    try:
        status = app(standalone_mode=False)
        if status == 130:  # how newer releases of typer report an interruption
            raise KeyboardInterrupt
    except (KeyboardInterrupt, typer.Abort):
        status = _complain("interrupted", 1)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone; the interpreter must not complain about that at exit
        status = 1
    except MemoryError:
        status = _complain("not enough memory", 1)
    except PacketError as error:
        status = _complain(str(error), 1)
    except (ValueError, TypeError, OverflowError) as error:
        status = _complain(str(error), 2)
    except (VivavoceError, ImportError) as error:
        status = _complain(str(error), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        status = _complain(f"{where}{error.strerror or error}", 1)
    except Exception as error:
        if not isinstance(error, _ClickException):
            sys.exit(_complain(f"internal error, please report it: {type(error).__name__}: {error}", 1))
        status = _complain(getattr(error, "format_message", error.__str__)(), getattr(error, "exit_code", 2))
    sys.exit(status or 0)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _complain(message: str, status: int) -> int:
    if sys.stderr is not None:
        print("vivavoce: " + " ".join(message.split()), file=sys.stderr)
    return status
