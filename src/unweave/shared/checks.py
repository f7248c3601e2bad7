"""What the JSON files of a shared model may hold; whatever else is in them is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from unweave.names import hint
from unweave.store import StoreError

FORMAT = 1
"""Version of the folder's layout; every older one can still be read."""
LIBRARY = "unweave"
"""What a configuration says of whose it is."""
KINDS: Mapping[str, type] = {
    "format": int,
    "library": str,
    "version": str,
    "key": str,
    "step": int,
    "sha256": str,
    "experiment": dict,
}
"""Fields of config.json, and of what kind they are."""
WORD = 200
"""Letters of a name that a file brings."""


def check_config(config: Mapping[str, Any], where: str) -> None:
    """Raises StoreError unless a configuration has the fields of ours, each of its kind, and no other."""
    if "library" not in config or config["library"] != LIBRARY:
        raise StoreError(f"{where} is no configuration of a model of unweave")
    version = config.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise StoreError(f"{where} has format {version}; this unweave reads up to {FORMAT}: install a newer one")
    for name in config:
        if name not in KINDS:
            raise StoreError(f"{where}: unknown field {name[:WORD]!r}{hint(name[:80], KINDS)}")
    for name, kind in KINDS.items():
        if not isinstance(config.get(name), kind) or isinstance(config[name], bool):
            raise StoreError(f"{where}: {name} is {'not given' if name not in config else 'of another kind'}")
    words = all(_word(config[name]) for name in ("key", "version"))
    if config["format"] < 1 or not 0 <= config["step"] < 2**62 or not words:
        raise StoreError(f"{where}: format {config['format']}, step {config['step']}: not written by unweave")


def check_extra(name: str, values: Mapping[str, Any], where: str) -> None:
    """Raises StoreError where names, scores, limits or ranges of latents have another form than run folders give them.

    Args:
        name: of the file.
        values: its content.
        where: its path, for the message.
    """
    try:
        sound = CHECKS[name](values)
    except (AttributeError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise StoreError(f"{where} is damaged: it has another form than unweave writes")


def finite(values: Any) -> bool:
    """Whether JSON values hold no NaN and no infinity."""
    try:
        json.dumps(values, allow_nan=False)
    except ValueError:
        return False
    return True


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= WORD and value.isprintable()


def _names(values: Any) -> bool:
    given = values.get("names")
    keys = all(_word(k) and k.replace(" ", "").isdecimal() and _word(v) for k, v in given.items()) if given else True
    return set(values) == {"names"} and isinstance(given, dict) and keys


def _scores(values: Any) -> bool:
    def sound(entry: Any) -> bool:
        return (
            isinstance(entry, dict)
            and set(entry) <= {"value", "parts", "settings", "at", "asked", "read"}
            and _number(entry.get("value"))
            and isinstance(entry.get("settings"), dict)
            and isinstance(entry.get("asked"), dict | None)
            and isinstance(entry.get("parts"), dict)
            and all(_word(name) and _number(value) for name, value in entry["parts"].items())
        )

    given = values.get("scores")
    whole = isinstance(given, dict) and all(_word(name) and sound(entry) for name, entry in given.items())
    return set(values) == {"step", "scores"} and isinstance(values["step"], int) and whole


def _ceilings(values: Any) -> bool:
    return all(
        _word(name)
        and isinstance(entry, dict)
        and set(entry) == {"asked", "floor", "ceiling"}
        and _number(entry["floor"])
        and _number(entry["ceiling"])
        for name, entry in values.items()
    )


def _explorer(values: Any) -> bool:
    spaces = values.get("spaces")
    inside = isinstance(spaces, dict) and all(_word(k) and isinstance(v, dict) for k, v in spaces.items())
    return set(values) == {"step", "spaces"} and isinstance(values["step"], int) and inside


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "names.json": _names,
    "scores.json": _scores,
    "ceilings.json": _ceilings,
    "explorer.json": _explorer,
}
