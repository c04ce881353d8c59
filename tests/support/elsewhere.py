"""A place on another network than this process: a network namespace, where this machine lets us make one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """bind: the address that the API binds to. address: where those over there reach it. prefix: what runs a
    command over there. name: for people."""

    bind: str
    address: str
    prefix: tuple[str, ...]
    name: str


#: Without namespaces: no loopback of ours is bound to it alone, so that the same rules hold.
FALLBACK = Place("0.0.0.0", "127.0.0.2", (), "another address of this machine")


@contextlib.contextmanager
def elsewhere() -> Iterator[Place]:
    """A namespace with one wire to this machine, gone afterwards; else another address of this machine."""
    name = f"lq{os.getpid()}"
    # 198.18.0.0/15 is set aside for tests; a /30 of it for each process.
    base = f"198.18.{os.getpid() >> 6 & 255}.{(os.getpid() & 63) * 4}".rpartition(".")
    ours, theirs = (f"{base[0]}.{int(base[2]) + each}" for each in (1, 2))
    made = _run(
        ["netns", "add", name],
        ["link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name],
        ["addr", "add", f"{ours}/30", "dev", f"{name}a"],
        ["link", "set", f"{name}a", "up"],
        ["-n", name, "addr", "add", f"{theirs}/30", "dev", f"{name}b"],
        ["-n", name, "link", "set", f"{name}b", "up"],
        ["netns", "exec", name, "true"],
    )
    try:
        yield Place(ours, ours, ("ip", "netns", "exec", name), "a network namespace") if made else FALLBACK
    finally:
        _run(["netns", "del", name])


def _run(*commands: list[str]) -> bool:
    if shutil.which("ip") is None:
        return False
    return all(
        subprocess.run(["ip", *each], capture_output=True, timeout=30, check=False).returncode == 0
        for each in commands
    )
