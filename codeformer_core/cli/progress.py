"""Progress bars, shown only where a person looks at a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def steps(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for one job; yields the function to report (steps done, steps in all) to."""
    with tqdm(
        desc=title,
        leave=False,
        disable=None,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
    ) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report
