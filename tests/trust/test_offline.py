"""Nothing reaches the network unless it is asked to download."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import importlib, pkgutil, sys
reached = []
sys.addaudithook(lambda event, arguments: reached.append(event) if event in (
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
    "urllib.Request", "http.client.connect") else None)
import codeformer_core
names = [each.name for each in pkgutil.walk_packages(codeformer_core.__path__, "codeformer_core.")]
for name in names:
    if name != "codeformer_core.__main__":
        importlib.import_module(name)
specification = importlib.util.spec_from_file_location("pack", "__init__.py")
specification.loader.exec_module(importlib.util.module_from_spec(specification))
print(len(names), reached)
"""
"""The pack's nodes need a host: tests/host imports them, under the guard of tests/conftest.py."""


def test_importing_every_module_reaches_nothing() -> None:
    command = [sys.executable, "-c", IMPORT_ALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    count, reached = done.stdout.split(maxsplit=1)
    assert int(count) > 80
    assert reached.strip() == "[]"


def test_no_test_can_leave_this_machine() -> None:
    for reach in (
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
        lambda: socket.socket().connect(("192.0.2.1", 80)),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("192.0.2.1", 80)),
        lambda: socket.getaddrinfo("example.invalid", 80),
        lambda: socket.gethostbyname("example.invalid"),
    ):
        with pytest.raises(RuntimeError, match="a test wants to reach"):
            reach()


def test_a_host_that_tests_start_cannot_leave_this_machine() -> None:
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "guard")}
    command = [sys.executable, "-c", reach]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "a test wants to reach '192.0.2.1'" in done.stderr


def test_bounds_are_the_same_for_both_ways_to_install() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    project = (ROOT / "pyproject.toml").read_text()
    named = project.partition("\ndependencies = [\n")[2].partition("\n]")[0].splitlines()
    bounds = {line.strip(' ",') for line in named}
    assert {line for line in lines if not line.startswith("#")} == {
        bound for bound in bounds if not bound.startswith("torch")
    }
    assert all(">=" in bound and "<" in bound for bound in bounds)
