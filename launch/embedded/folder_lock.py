"""One owner of a data folder. Kafka's own lock comes too late: two nodes on one folder damage its log first.

The servers inherit the lock's file descriptor, so that the folder stays taken until the last of them has ended, even
when the process that started them was killed.
"""

import fcntl
import os
from pathlib import Path
from time import monotonic, sleep

from contracts.errors import EnvironmentRefused

PATIENCE_SECONDS = 6.0  # servers whose parent was killed need a moment to end


class FolderLock:
    """Held from the start until ``release`` and until every child that was given ``fd`` has ended.

    Raises:
        EnvironmentRefused: somebody else holds it, and went on holding it.
    """

    def __init__(self, folder: Path) -> None:
        self.fd = os.open(folder / ".in-use", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = monotonic() + PATIENCE_SECONDS
        while not self._taken():
            if monotonic() > deadline:
                self.release()
                raise EnvironmentRefused(
                    f"{folder} is in use by another daogou; stop that one or choose another folder"
                )
            sleep(0.05)

    def release(self) -> None:
        """Let go of our end."""
        os.close(self.fd)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
