"""Progress bars, shown only where a person looks at a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from ..errors import PictureError


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


def make_folder(folder: Path) -> None:
    """Make a folder for results.

    Raises:
        PictureError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"{folder}: this folder cannot be made: {error.strerror}") from error
