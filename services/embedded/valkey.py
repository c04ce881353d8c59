"""A Valkey (or Redis) of our own: on a private socket, without TCP, ended with its launcher."""

from __future__ import annotations

from pathlib import Path

import redis

from services.embedded.binaries import valkey_program
from services.embedded.folders import FolderLock, end_leftover, private_folder
from services.embedded.process import Command, LaunchError, Process
from services.settings import VALKEY_SOCKET, valkey_url


class Valkey(Process):
    """The embedded Valkey of one home. `start` and `stop` may be called any number of times.

    Its file is synced each second: it may lose the last second, and Labqueue needs none of it.
    """

    def __init__(self, home: Path, sockets: Path) -> None:
        self.data = home.absolute() / "valkey"
        self.sockets = sockets.absolute()
        self._pid_file = home.absolute() / "valkey.pid"
        self._lock = FolderLock(home.absolute() / "valkey.lock")
        options = {
            "port": "0",
            "unixsocket": str(self.sockets / VALKEY_SOCKET),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "pidfile": str(self._pid_file),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
            # Streams are trimmed, so little is kept; what does not fit is refused, never dropped unseen.
            "maxmemory-policy": "noeviction",
        }
        argv = [str(valkey_program())]
        for name, value in options.items():
            argv += [f"--{name}", value]
        super().__init__(
            Command(
                name="valkey",
                argv=tuple(argv),
                log=home.absolute() / "logs" / "valkey.log",
                cwd=home.absolute(),
            )
        )
        self.url = valkey_url(self.sockets)

    def spawn(self) -> None:
        if self.pid is not None:
            return
        self._lock.take()
        self.data.mkdir(parents=True, exist_ok=True)
        private_folder(self.sockets)
        end_leftover(self._pid_file, self.data, self.command.stop_signal)
        super().spawn()

    def ready(self) -> bool:
        """Whether our child, and no other server, answers."""
        if self.pid is None:
            return False
        client = redis.Redis.from_url(self.url, socket_timeout=5, retry=None)
        try:
            found = client.info("server")["process_id"]
        except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
            return False
        finally:
            client.close()
        if found != self.pid:
            raise LaunchError(f"process {found} answers on {self.sockets}, and is not ours.")
        return True

    def stop(self) -> None:
        super().stop()
        self._lock.free()
