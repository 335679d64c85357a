"""What the page of a call says: its headline, its table, its settings, and the names and colours of slot sources."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vivavoce.transport.call import CallResult, CallSettings

UNPROTECTED, PROTECTED = "unprotected", "protected"

# What was played in a slot: its name on the page, what that means, and its colour, calm where the packet came and
# alarming where nothing did. They differ in lightness too, for those who cannot tell red from green.
SOURCES = {
    "primary": ("Primary", "the packet itself, in time", (86, 136, 190)),
    "red": ("RED copy", "a full copy out of a later packet (RFC 2198)", (240, 190, 66)),
    "lbrr": ("LBRR", "a coarse copy inside the next Opus packet", (56, 176, 138)),
    "dred": ("DRED", "deep redundancy: rebuilt from coded features", (154, 124, 232)),
    "plc": ("Concealed", "nothing arrived: the receiver made it up", (232, 74, 84)),
    "dtx": ("DTX", "a pause that was not sent: comfort noise", (150, 156, 164)),
}
_OTHER_COLOUR = (176, 132, 96)
_STAGES = ("denoise", "encode", "network", "receive", "playout")  # in the order in which speech passes them
_UNITS = {
    "jitter_ms": " ms",
    "bitrate_bps": " b/s",
    "expected_loss_pct": " %",
    "playout_delay_ms": " ms",
    "sample_rate": " Hz",
}
# What None means in CallSettings.
_UNSET = {"loss": "none", "expected_loss_pct": "auto", "playout_delay_ms": "adaptive"}


def headline(calls: Mapping[str, CallResult], settings: CallSettings) -> str:
    """What happened, in two sentences."""
    bare, call = calls[UNPROTECTED], calls[PROTECTED]
    made_up = f"{bare.slots.get('plc', 0):,}"
    if str(settings.protection) != "none":
        made_up += f" without protection and {call.slots.get('plc', 0):,} with {settings.protection}"
    return (
        f"The network lost {call.lost:,} of {call.packets:,} packets ({_percent(call.lost, call.packets)}). "
        f"Of {sum(call.slots.values()):,} slots of 20 ms, the receiver had to make up {made_up}."
    )


def table(
    calls: Mapping[str, CallResult], metrics: Mapping[str, Mapping[str, float]], sources: Sequence[str]
) -> list[dict[str, Any]]:
    """The comparison of the calls.

    Args:
        calls: By name.
        metrics: Scores by call and name; greater is better.
        sources: The slot sources to list.

    Returns:
        Groups `{"title", "rows"}` of rows `{"name", "values"}` with one text for each call; in a text, two spaces part
        the figure from what stands small beside it. A row may have a `hint`, a `colour`, the index of the `better`
        call, or be `minor`.
    """
    columns = list(calls.values())
    groups = [
        ("Quality", _quality(list(calls), metrics)),
        (
            "Network",
            [
                _row("Packets", [f"{call.packets:,}" for call in columns]),
                _row("Lost", [_count(call.lost, call.packets) for call in columns]),
            ],
        ),
        (
            "Played, in slots of 20 ms",
            [
                _row(
                    SOURCES.get(source, (source,))[0],
                    [_count(call.slots.get(source, 0), sum(call.slots.values())) for call in columns],
                    colour=colour_of(source),
                )
                for source in sources
            ],
        ),
        ("Cost", _cost(columns)),
    ]
    return [{"title": title, "rows": rows} for title, rows in groups if rows]


def _quality(calls: Sequence[str], metrics: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    rows = []
    for name in dict.fromkeys(name for call in calls for name in metrics.get(call, {})):
        values = [metrics.get(call, {}).get(name, math.nan) for call in calls]
        row = _row(name, [f"{value:.2f}" if math.isfinite(value) else "–" for value in values])
        if values.count(max(values)) == 1 and all(map(math.isfinite, values)):
            row["better"] = values.index(max(values))
        rows.append(row)
    return rows


def _cost(columns: Sequence[CallResult]) -> list[dict[str, Any]]:
    cpu = [call.cpu_seconds_per_second for call in columns]
    stages = dict.fromkeys([stage for stage in _STAGES if any(stage in call for call in cpu)])
    stages |= dict.fromkeys(stage for call in cpu for stage in call)
    return [
        _row("Rate", [f"{call.bitrate_bps / 1000:.1f} kb/s" for call in columns], hint="RTP payload, measured"),
        _row("Protected packets", [_carried(call) for call in columns], hint="share that carried a copy"),
        _row("Playout delay", [_delay(call) for call in columns]),
        _row("CPU", [f"{100 * sum(call.values()):.2f} %" for call in cpu], hint="of one core"),
        *(_row(stage, [f"{100 * call.get(stage, 0):.2f} %" for call in cpu], minor=True) for stage in stages),
    ]


def settings_lines(settings: CallSettings, notes: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values of the settings and the notes; a note replaces a setting of its name."""
    lines = {name: str(text) for name, text in notes.items() if name == "input"}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None:
            text = _UNSET.get(field.name, "none")
        elif hasattr(value, "loss_rate"):
            text = f"{type(value).__name__}, {100 * value.loss_rate:.1f} % in the long run"
        else:
            # Ten digits: no setting has more, and no exponent ever shows.
            text = (f"{value:.10g}" if isinstance(value, float) else str(value)) + _UNITS.get(field.name, "")
        lines[field.name] = text
    lines |= {name: str(text) for name, text in notes.items()}
    return [(re.sub("_(bps|ms|pct)$", "", name).replace("_", " "), text) for name, text in lines.items()]


def track_note(call: CallResult | None, protection: str = "none") -> str:
    """What stands beside a player's name.

    Args:
        call: What it plays; None for the original.
        protection: Of that call.
    """
    if call is None:
        return "as it was spoken"
    how = "plain Opus" if protection == "none" else f"Opus with {protection}"
    made_up = _percent(call.slots.get("plc", 0), sum(call.slots.values()))
    return f"{how}, {call.bitrate_bps / 1000:.1f} kb/s, {made_up} made up"


def source_names(calls: Iterable[CallResult]) -> list[str]:
    """Sources that occur in any call: ours in our order, then those that we have no name for."""
    seen = {source for call in calls for source in (*call.slot_sources, *call.slots)}
    return [name for name in SOURCES if name in seen] + sorted(seen - set(SOURCES))


def source_legend(source: str) -> dict[str, Any]:
    """Name, meaning and colour of a slot source, known or not, for the page."""
    name, note, _ = SOURCES.get(source, (source, "", ()))
    return {"name": name, "note": note, "colour": colour_of(source)}


def colour_of(source: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a slot source, known or not."""
    return SOURCES[source][2] if source in SOURCES else _OTHER_COLOUR


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}\N{NO-BREAK SPACE}%" if whole else "–"


def _count(part: int, whole: int) -> str:
    return f"{part:,}  ({_percent(part, whole)})"


def _row(name: str, values: Sequence[str], **more: Any) -> dict[str, Any]:
    return {"name": name, "values": list(values), **more}


def _carried(call: CallResult) -> str:
    shares = [f"{name.upper()} {100 * share:.0f} %" for name, share in call.protection.items()]
    return ", ".join(shares) or "none"


def _delay(call: CallResult) -> str:
    changes = len(call.delay_changes)
    return f"{call.playout_delay_ms:.0f} ms" + (f", {changes} change{'s' * (changes != 1)}" if changes else "")
