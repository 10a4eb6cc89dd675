"""The whole error tree. Every error has a fate: what the edge that catches it must do.

::

    DaogouError
    ├── BadInput                    dead-letter: the input can never be processed; the rest goes on
    │   ├── Unreadable              bytes that are no event, no item, no JSON
    │   ├── Unacceptable            readable, but it must not be applied (impossible time, wrong key, ...)
    │   │   └── Diverged            a training whose numbers are none any more
    │   └── Oversize                larger than the limit
    ├── Unavailable                 retry: a part that will come back
    │   ├── BrokerUnavailable       Kafka is away
    │   ├── StoreUnavailable        Redis is away
    │   ├── Overloaded              more requests wait than can be answered in time
    │   ├── ModelUnavailable        a forward of the model failed; slates degrade meanwhile
    │   └── Conflict                somebody else wrote the profile: load it again and fold again
    ├── Refused                     refuse: tell the caller what is wrong and what to do
    │   ├── SettingsRefused         a setting that cannot be
    │   ├── BundleRefused           a model folder that is not what its manifest says
    │   ├── AccessRefused           login, certificate or right refused by Kafka or Redis
    │   ├── TopicsRefused           a topic is missing or is not as the table says
    │   ├── EnvironmentRefused      the machine lacks something (jars, memory, one of the extras)
    │   ├── CallerRefused           no key, a wrong one, or one that may not do this
    │   ├── TooMany                 more requests than this caller may make
    │   ├── Missing                 there is no such thing
    │   ├── OutRefused              what would be overwritten is not ours
    │   └── ExportRefused           the exported model disagrees with the checkpoint
    └── Fatal                       crash: going on would lose data; the process ends loudly
        ├── Stuck                   nothing moves though there is work
        ├── Fenced                  another worker owns what this one still holds
        └── Corrupted               the store holds what daogou did not write
"""

from enum import Enum
from typing import ClassVar


class Fate(Enum):
    """What the edge that catches an error does with the work at hand."""

    DEAD_LETTER = "dead-letter"
    RETRY = "retry"
    REFUSE = "refuse"
    CRASH = "crash"


class Reason(Enum):
    """Stable codes of why an input was dead-lettered. Codes are only ever added."""

    EMPTY = "empty"
    OVERSIZE = "oversize"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_FIELD = "invalid_field"
    NO_USER = "no_user"
    IMPOSSIBLE_TIME = "impossible_time"
    KEY_MISMATCH = "key_mismatch"
    NOT_APPLICABLE = "not_applicable"
    OUTPUT_REFUSED = "output_refused"


class DaogouError(Exception):
    """Anything daogou raises on purpose."""

    fate: ClassVar[Fate] = Fate.CRASH


class BadInput(DaogouError):
    """An input that can never be processed.

    Attributes:
        reason: the stable code that goes into the dead letter's header.
    """

    fate = Fate.DEAD_LETTER

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unreadable(BadInput):
    """Bytes that decode to nothing we know."""


class Unacceptable(BadInput):
    """Readable, but it must not be applied."""


class Diverged(Unacceptable):
    """The loss, the gradient or what a model says is not finite any more."""

    def __init__(self, what: str, where: str, cause: str) -> None:
        super().__init__(Reason.NOT_APPLICABLE, f"{what} {where}: {cause}")


class Oversize(BadInput):
    """Larger than the limit."""


class Unavailable(DaogouError):
    """A part that is away now and will come back."""

    fate = Fate.RETRY


class BrokerUnavailable(Unavailable):
    """Kafka cannot be reached."""


class StoreUnavailable(Unavailable):
    """Redis cannot be reached."""


class Overloaded(Unavailable):
    """More waits than can be answered in time; nothing was done."""


class ModelUnavailable(Unavailable):
    """A forward of the model failed."""


class Conflict(Unavailable):
    """A compare-and-set found another version than the one that was read."""


class Refused(DaogouError):
    """What was asked cannot be done as it stands; the message says what to change."""

    fate = Fate.REFUSE


class SettingsRefused(Refused):
    """A setting that cannot be."""


class BundleRefused(Refused):
    """A model folder that is not what its manifest says."""


class AccessRefused(Refused):
    """A login, a certificate or a right was refused."""


class TopicsRefused(Refused):
    """A topic is missing or differs from the table."""


class EnvironmentRefused(Refused):
    """The machine lacks something that is needed."""


class CallerRefused(Refused):
    """A request without a key, with a wrong one, or with one that may not do this.

    Attributes:
        known: the caller is known, and may not do this; else it is not known who calls.
    """

    def __init__(self, message: str, known: bool = False) -> None:
        super().__init__(message)
        self.known = known


class TooMany(Refused):
    """A caller's rate limit."""


class Missing(Refused):
    """What was asked for is not there."""


class OutRefused(Refused):
    """A folder that was to be written holds what the command did not write."""


class ExportRefused(Refused):
    """The exported model disagrees with its checkpoint."""


class Fatal(DaogouError):
    """Going on would lose data."""

    fate = Fate.CRASH


class Stuck(Fatal):
    """There is work and nothing moves."""


class Fenced(Fatal):
    """Another worker owns what this one still holds."""


class Corrupted(Fatal):
    """The store holds what daogou did not write; only a person can say what is to become of it."""
