"""One object that a framework calls, and the training is recorded: see `gradtop.Logger` for what is written.

```python
from gradtop.integrations import TransformersCallback
Trainer(..., callbacks=[TransformersCallback()])
```
`LightningCallback` is the same for Lightning, and `AccelerateTracker` is a tracker for `Accelerator(log_with=...)`.
A framework is imported when its name is taken from here, and not before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradtop.integrations.accelerate import AccelerateTracker
    from gradtop.integrations.lightning import LightningCallback
    from gradtop.integrations.transformers import TransformersCallback

__all__ = ["AccelerateTracker", "LightningCallback", "TransformersCallback"]

_MODULES = {
    "AccelerateTracker": "accelerate",
    "LightningCallback": "lightning",
    "TransformersCallback": "transformers",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
