"""Runs when a Python starts under `gradtop run`: waits for torch, then lets the sitecustomize that it hides run.

Every Python that the command starts comes by here, whatever it is for: so it holds to Python 3.8 and the standard
library, imports nothing that Python has not imported yet, and does nothing where torch never arrives.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any

OLDEST = (3, 11)
"""The oldest Python that the package runs on."""


class Arrival:
    """A finder that finds `name` as the other finders do, and calls `then` once when it has been imported."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        """Take effect as soon as it stands in `sys.meta_path`."""
        self._name = name
        self._then = then
        self._looking = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that another finder has for the module, its loader watched; None for all other modules."""
        if name != self._name or self._looking:
            return None
        self._looking = True
        try:
            for finder in sys.meta_path:
                find: Any = getattr(finder, "find_spec", None) if finder is not self else None
                spec: ModuleSpec | None = find(name, path, target) if find is not None else None
                if spec is not None:
                    self._watch(spec.loader)
                    return spec
        finally:
            self._looking = False
        return None

    def _watch(self, loader: Any) -> None:
        """Put a function before the loader's own; a loader that cannot be watched imports as ever."""
        try:
            own = vars(loader)
            execute = loader.exec_module
        except (AttributeError, TypeError):
            return
        if "exec_module" in own:
            return

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if module.__name__ == self._name:
                own.pop("exec_module", None)
                self._arrived()

        own["exec_module"] = exec_module

    def _arrived(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            self._then()


def begin(text: str) -> None:
    """Torch is here: load gradtop from the place that `text` names, and attach. Never raises."""
    import json

    try:
        order = json.loads(text)
        try:
            _say(order, torch=str(sys.modules["torch"].__version__))
            if sys.version_info < OLDEST:
                _say(order, problem=f"Python {sys.version.split()[0]} is too old to be recorded: 3.11 is the oldest")
                return
            _load(order["package"])
            from gradtop.attach import attach

            attach(order, lambda **fact: _say(order, **fact))
        except Exception as problem:  # noqa: BLE001 - the import of torch that this runs in must not fail
            _say(order, problem=f"{type(problem).__name__}: {problem}")
    except Exception:  # noqa: BLE001 - there is no one to tell
        return


def _load(package: str) -> None:
    """Import gradtop from its directory, which need not be on the path; one that is imported already is kept."""
    if "gradtop" in sys.modules:
        return
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(
        "gradtop", os.path.join(package, "__init__.py"), submodule_search_locations=[package]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"gradtop cannot be loaded from {package}")
    sys.modules["gradtop"] = module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules["gradtop"]
        raise


def _say(order: dict[str, Any], **fact: object) -> None:
    """One line for the parent, with one write."""
    import json

    if order.get("say"):
        line = json.dumps({"pid": os.getpid(), "rank": os.environ.get("RANK"), **fact}) + "\n"
        status = os.open(order["say"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(status, line.encode())
        finally:
            os.close(status)


def _next() -> None:
    """Run the sitecustomize that this one hides, as Python would have; what it raises is Python's to report."""
    here = os.path.normpath(os.path.dirname(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.normpath(entry) != here]
    import importlib

    own = sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError as missing:
        if missing.name != "sitecustomize":
            raise
        if own is not None:
            sys.modules["sitecustomize"] = own


_order = os.environ.get("GRADTOP_RUN")
if _order is not None:
    _text = _order
    sys.meta_path.insert(0, Arrival("torch", lambda: begin(_text)))
_next()
