"""A browser that hangs."""

from __future__ import annotations

import signal
from typing import Any

import pytest


def test_a_hung_browser_is_replaced(desk: Any, chromium: Any) -> None:
    psutil = pytest.importorskip("psutil")
    for process in psutil.Process().children(recursive=True):
        if "chrom" in process.name():
            process.send_signal(signal.SIGSTOP)
    with (
        pytest.raises(Exception, match="has been closed"),
        pytest.warns(UserWarning, match="killed after 2 s"),
        chromium.killed_after(2),
    ):
        desk.page.evaluate("1 + 1")
    assert not desk.alive
    desk.open()
    assert desk.page.evaluate("1 + 1") == 2
