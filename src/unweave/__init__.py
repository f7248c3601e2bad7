"""unweave: disentangled representation learning.

>>> import unweave
>>> run = unweave.fit("beta-vae", "triangle", steps=2, batch=4, network=unweave.MLP((8,)))
>>> codes = run.codes(100)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"


def _public() -> dict[str, Any]:
    import importlib

    found = vars(importlib.import_module("unweave.public"))
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _fetch(name: str) -> Any:
    """A public name, all of which are fetched from ``unweave.public`` when the first one is asked for.

    So ``unweave --help`` and a mistyped verb are answered without waiting for PyTorch.
    """
    if name == "__all__":
        return sorted(_public())
    if not name.startswith("__"):
        globals().update(_public())
        # Or a part, such as unweave.engine, that became an attribute while the names were fetched.
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})


# Type checkers and editors read the names themselves, and so know which do not exist.
if TYPE_CHECKING:
    from unweave.public import *  # noqa: F403
else:
    __getattr__ = _fetch
