"""A process that has this folder in PYTHONPATH cannot leave this machine.

Python imports a module of this name when it starts. What the fixtures fetch, pip fetches for them,
in a process without it.
"""

import sys
from typing import Any

LOOPBACK = ("127.0.0.1", "::1", "localhost")
HOST_OF = {
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.connect": 1,
    "socket.sendto": 1,
}
"""Which argument of an audit event names the host, by itself or first in an address."""


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    """No test reaches the network."""
    if event in HOST_OF:
        named = arguments[HOST_OF[event]]
        host = named[0] if isinstance(named, tuple) else named
        local = HOST_OF[event] == 1 and not isinstance(named, tuple)  # a socket file
        if host and not local and host not in LOOPBACK:
            raise RuntimeError(f"a test wants to reach {host!r}")


sys.addaudithook(_stay_on_this_machine)
