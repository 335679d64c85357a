"""The `vivavoce` command: one file per verb.

Results go to stdout, progress and warnings to stderr. Whatever goes wrong is one line on stderr, with exit status 2 for
wrong usage and 1 for a failure.
"""

from __future__ import annotations

import signal
import sys

from vivavoce.errors import PacketError, VivavoceError


def main() -> None:
    """Run the command line; never shows a traceback."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    if sys.stdout is None:
        sys.exit(_complain("standard output is closed", 1))
    try:
        status = _run()
    except KeyboardInterrupt:
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
        status = _complain(describe(error), 1)
    except Exception as error:
        status = _complain(f"internal error, please report it: {type(error).__name__}: {error}", 1)
    sys.exit(status or 0)


def describe(error: Exception) -> str:
    """What an error says to a user."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error)


def _run() -> int | None:
    """The verb; what takes time to import is imported here, where an interruption is one line already."""
    import typer

    from vivavoce.cli.app import ClickException, app

    try:
        status = app(standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except ClickException as error:
        return _complain(getattr(error, "format_message", error.__str__)(), getattr(error, "exit_code", 2))
    if status == 130:  # how newer releases of typer report an interruption
        raise KeyboardInterrupt
    return status


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _complain(message: str, status: int) -> int:
    if sys.stderr is not None:
        print("vivavoce: " + " ".join(message.split()), file=sys.stderr)
    return status
