"""Words for the person in front of the screen."""

from .errors import CodeFormerError
from .packages import import_remedy


def describe_error(error: Exception) -> str:
    """What went wrong, with its remedy where there is one."""
    if isinstance(error, CodeFormerError):
        return str(error)
    if isinstance(error, ImportError):
        return f"a package is missing or broken: {import_remedy(error)}"
    return (
        f"unexpected error: {type(error).__name__}: {error}\n"
        "Run the command again with --debug to see where it comes from."
    )


def counted(number: int, thing: str) -> str:
    """Say how many there are of a thing."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
