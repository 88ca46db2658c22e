"""A browser that may hang, but not the tests with it.

Some of Playwright's calls, such as opening a page, wait without end for one that does not answer.
"""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu"]


class Chromium:
    """Started with the first page, and anew with the next after it was killed.

    Attributes:
        path: its executable, or None where there is none.
    """

    def __init__(self) -> None:
        self.path = next(filter(None, map(shutil.which, NAMES)), None)
        self._playwright: Any = None
        self._browser: Any = None

    def new_page(self, **options: Any) -> Any:
        """A page in a context of its own; takes what Playwright's `Browser.new_page` takes."""
        # The fast tests load this file without Playwright.
        from playwright.sync_api import sync_playwright

        if self._browser is None:
            self.stop()
            self._playwright = sync_playwright().start()
            launch = self._playwright.chromium.launch
            self._browser = launch(executable_path=self.path, args=FLAGS)
        return self._browser.new_page(**options)

    def has(self, page: Any) -> bool:
        """Whether the page's browser has not been killed."""
        return self._browser is not None and page.context.browser == self._browser

    def stop(self) -> None:
        """Close it, killed or not."""
        if self._playwright is not None:
            self._playwright.stop()
        self._playwright = self._browser = None

    @contextmanager
    def killed_after(self, seconds: float) -> Iterator[None]:
        """A call inside that takes longer raises Playwright's error for a closed browser."""
        watch = threading.Timer(seconds, self._kill, (seconds,))
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _kill(self, seconds: float) -> None:
        """Kill Playwright's driver and the browser; a warning tells how they were."""
        import psutil

        self._browser = None
        drivers: list[psutil.Process] = []
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):  # nor has a zombie a command line
                drivers += [child] if "playwright" in " ".join(child.cmdline()) else []
        found = [f"Chromium was killed after {seconds:.0f} s:"]
        for process in [*drivers, *(each for one in drivers for each in one.children(True))]:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found.append(
                    f"{process.name()} {process.status()}, {process.num_threads()} threads, "
                    f"{times.user:.0f} s in user mode, {times.system:.0f} s in the kernel"
                )
                process.kill()
        warnings.warn("\n".join(found), stacklevel=1)
