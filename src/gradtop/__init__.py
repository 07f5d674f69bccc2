"""gradtop: a terminal live monitor for neural-network training."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradtop.logger import Logger

__all__ = ["Logger", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`gradtop.Logger`, imported when it is first asked for: looking at a run needs no part of it."""
    if name == "Logger":
        from gradtop.logger import Logger

        return Logger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
