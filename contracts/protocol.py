"""How a log is parted into what teaches and what judges."""

from enum import StrEnum


class Protocol(StrEnum):
    """What teaches and what judges: by the order of time, or each shopper's last events beside the others' counts."""

    TIME = "time"
    LEAVE_ONE_OUT = "leave-one-out"
