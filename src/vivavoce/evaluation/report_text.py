"""What the page of a call says: its headline, its table, its settings, and the names and colours of slot sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from vivavoce.transport.call import CallResult, CallSettings

CALLS = ("unprotected", "protected")

# What was played in a slot: its name on the page, what that means, and its colour: cool where it was sent, warm where a
# copy came in, alarming where it was invented. Told apart in all common kinds of colour blindness, on dark and on light.
SOURCES = {
    "primary": ("Primary", "the packet itself, in time", (86, 136, 190)),
    "red": ("RED copy", "a full copy out of a later packet (RFC 2198)", (240, 190, 66)),
    "lbrr": ("LBRR", "a coarse copy inside the next Opus packet", (56, 176, 138)),
    "dred": ("DRED", "deep redundancy: rebuilt from coded features", (154, 124, 232)),
    "plc": ("Concealed", "nothing arrived: the decoder made it up", (232, 74, 84)),
    "dtx": ("DTX", "a pause that was not sent: comfort noise", (150, 156, 164)),
}
_OTHER_COLOUR = (176, 132, 96)
_UNITS = {
    "jitter_ms": " ms",
    "bitrate_bps": " b/s",
    "expected_loss_pct": " %",
    "playout_delay_ms": " ms",
    "sample_rate": " Hz",
}
_UNSET = {
    "loss": "none",
    "expected_loss_pct": "auto",
    "playout_delay_ms": "adaptive",
}  # what None means in CallSettings


def headline(calls: Mapping[str, CallResult], settings: CallSettings) -> str:
    """What happened, in two sentences."""
    bare, call = calls["unprotected"], calls["protected"]
    made_up, still = bare.slots.get("plc", 0), call.slots.get("plc", 0)
    slots = sum(call.slots.values())
    return (
        f"The network lost {call.lost:,} of {call.packets:,} packets ({_percent(call.lost, call.packets)}). "
        f"Of {slots:,} slots of 20 ms, the receiver had to make up {made_up:,} without protection and {still:,} with "
        f"{settings.protection}."
    )


def table(
    calls: Mapping[str, CallResult],
    settings: CallSettings,
    metrics: Mapping[str, Mapping[str, float]],
    sources: Sequence[str],
) -> list[dict[str, Any]]:
    """The comparison, as groups of rows with one text for each call."""
    pair = [calls[name] for name in CALLS]

    def row(name: str, texts: Sequence[str], hint: str = "") -> dict[str, Any]:
        return {"name": name, "values": list(texts), "hint": hint}

    scores = [
        row(name, [_score(metrics.get(call, {}).get(name)) for call in CALLS])
        for name in dict.fromkeys(name for call in CALLS for name in metrics.get(call, {}))
    ]
    played = [
        row(
            SOURCES.get(source, (source,))[0],
            [
                f"{call.slots.get(source, 0):,}  ({_percent(call.slots.get(source, 0), sum(call.slots.values()))})"
                for call in pair
            ],
        )
        | {"colour": colour_of(source)}
        for source in sources
    ]
    network = [
        row("Packets", [f"{call.packets:,}" for call in pair]),
        row("Lost", [f"{call.lost:,}  ({_percent(call.lost, call.packets)})" for call in pair]),
    ]
    cost = [
        row("Rate", [f"{call.bitrate_bps / 1000:.1f} kb/s" for call in pair], "RTP payload, measured"),
        row("Protected packets", [_carried(call) for call in pair], "share that carried a copy"),
        row("Playout delay", [_delay(call) for call in pair]),
        row("CPU", [f"{100 * sum(call.cpu_seconds_per_second.values()):.2f} %" for call in pair], "of one core"),
        *(
            row(stage, [f"{100 * call.cpu_seconds_per_second.get(stage, 0):.2f} %" for call in pair]) | {"minor": True}
            for stage in dict.fromkeys(stage for call in pair for stage in call.cpu_seconds_per_second)
        ),
    ]
    groups = [("Quality", scores), ("Network", network), ("Played, in slots of 20 ms", played), ("Cost", cost)]
    return [{"title": title, "rows": rows} for title, rows in groups if rows]


def settings_lines(settings: CallSettings, notes: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values of the settings and the notes; a note replaces a setting of its name."""
    lines: dict[str, str] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None:
            text = _UNSET.get(field.name, "none")
        elif hasattr(value, "loss_rate"):
            text = f"{type(value).__name__}, {100 * value.loss_rate:.1f} % in the long run"
        elif isinstance(value, float):
            text = f"{value:g}"
        else:
            text = str(value)
        lines[field.name] = text + (_UNITS.get(field.name, "") if value is not None else "")
    named = {name: str(text) for name, text in notes.items()}
    ordered = {"input": named["input"]} | lines | named if "input" in named else lines | named
    return [
        (name.replace("_bps", "").replace("_ms", "").replace("_pct", "").replace("_", " "), text)
        for name, text in ordered.items()
    ]


def track_note(call: CallResult | None, settings: CallSettings | None) -> str:
    if call is None:
        return "as it was spoken"
    how = f"Opus with {settings.protection}" if settings else "plain Opus"
    return f"{how}, {call.bitrate_bps / 1000:.1f} kb/s, {_percent(call.slots.get('plc', 0), sum(call.slots.values()))} made up"


def source_names(calls: Iterable[CallResult]) -> list[str]:
    """Sources that occur in any call: ours in our order, then those that we have no name for."""
    seen = {source for call in calls for source in (*call.slot_sources, *call.slots)}
    return [name for name in SOURCES if name in seen] + sorted(seen - set(SOURCES))


def colour_of(source: str) -> tuple[int, int, int]:
    return SOURCES[source][2] if source in SOURCES else _OTHER_COLOUR


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _score(value: float | None) -> str:
    return f"{value:.2f}" if value is not None and np.isfinite(value) else "–"


def _carried(call: CallResult) -> str:
    shares = [f"{name.upper()} {100 * share:.0f} %" for name, share in call.protection.items()]
    return ", ".join(shares) or "none"


def _delay(call: CallResult) -> str:
    changes = len(call.delay_changes)
    return f"{call.playout_delay_ms:.0f} ms" + (f", {changes} change{'s' * (changes != 1)}" if changes else "")
