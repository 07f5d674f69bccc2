"""Waiting for an app to come to rest, by what it has left to do and not by how busy the machine is."""

import asyncio
from collections import deque
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

LIMIT_S = 8.0
"""Seconds after which an app that is not at rest never will be."""


async def pause(pilot: Pilot[Any], delay: float | None = None) -> None:
    """Wait until all messages are handled and the screen is laid out and drawn; stands in for `Pilot.pause`.

    The toolkit's own waits until the process uses little processor time, which on a busy machine is always.
    """
    if delay is not None:
        await asyncio.sleep(delay)
    async with asyncio.timeout(LIMIT_S):
        await handled()
        while _drawn(pilot.app):
            await handled()


async def handled(min_sleep: float = 0.0, max_sleep: float = 0.0) -> None:
    """No task has anything to do before a timer, a thread or a key wakes it; stands in for `wait_for_idle`."""
    ready: deque[object] = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    while ready:
        await asyncio.sleep(0)


def _drawn(app: App[Any]) -> bool:
    """Do at once what a timer would do soon; whether there was something to do."""
    if app._exception is not None or app._exit or not app.screen_stack:
        return False
    if app._resize_timer is not None:
        app._check_resize()
        return True
    if _wants_drawing(app.screen):
        app.screen._on_timer_update()
        return True
    return False


def _wants_drawing(screen: Screen[Any]) -> bool:
    return bool(
        screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )
