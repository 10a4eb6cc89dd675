"""What the worker has in hand and when it last moved: what the watchdog looks at."""

from time import monotonic


class Progress:
    """Written by the event loop, read by the watchdog's thread; plain numbers, so no lock is needed."""

    def __init__(self) -> None:
        self.in_hand = 0
        self.moved = monotonic()
        self.beat = monotonic()
        self.waiting_for = ""

    def took(self, records: int) -> None:
        """A batch was read."""
        self.in_hand += records
        self.moved = monotonic()

    def works(self) -> None:
        """A batch's effects were done."""
        self.moved = monotonic()
        self.waiting_for = ""

    def finished(self, records: int) -> None:
        """A batch was acked."""
        self.in_hand -= records
        self.works()

    def gave_up(self, records: int) -> None:
        """A batch is somebody else's now."""
        self.in_hand -= records
        self.moved = monotonic()

    def waits_for(self, what: str) -> None:
        """Something that we know is away: waiting for it is no standstill."""
        self.waiting_for = what
        self.moved = monotonic()

    def alive(self) -> None:
        """The event loop turns."""
        self.beat = monotonic()
