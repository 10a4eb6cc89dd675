"""Who calls, and what they may do: keys with a role, and visitors' signed tokens.

A key is shown once, when it is made; the settings hold its SHA-256 (32 random bytes need no slow hash), compared in
constant time. A credential that was checked is known by its digest from then on, a token until it ends. A page has a
publishable key, which can do nothing but make a visitor; the visitor's token sees that visitor alone.
"""

import hmac
from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from hashlib import sha256
from math import inf
from secrets import token_urlsafe
from time import time
from typing import NamedTuple

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from contracts.errors import CallerRefused, SettingsRefused
from contracts.events import UserId
from contracts.settings import ApiSettings, Environment

PREFIX = "Bearer "
DAY_SECONDS = 86_400
LEAST_SECRET = 32
KNOWN = 20_000  # callers whose credential is known by its digest


class Role(Enum):
    """What a caller may be."""

    PAGE = "page"
    SERVER = "server"
    OPERATOR = "operator"
    VISITOR = "visitor"


class Caller(NamedTuple):
    """Who calls. ``user``: the one visitor that this caller may see; None for keys."""

    role: Role
    name: str
    user: UserId | None = None


class Keyring(NamedTuple):
    """Fresh keys of every role, for development: nothing of them is kept."""

    page: str
    server: str
    operator: str

    @classmethod
    def fresh(cls) -> "Keyring":
        """New ones."""
        return cls(*(new_key(Role(name)) for name in cls._fields))


def new_key(role: Role) -> str:
    """A key of 32 random bytes whose beginning says what it is for."""
    return f"{role.value}_{token_urlsafe(32)}"


def entry_of(key: str) -> str:
    """What the settings hold of a key: ROLE:SHA256."""
    return f"{key.partition('_')[0]}:{sha256(key.encode(errors='replace')).hexdigest()}"


class Access:
    """Raises (when it is made): SettingsRefused, where production lacks keys or a secret."""

    def __init__(self, settings: ApiSettings, environment: Environment, fresh: Keyring | None = None) -> None:
        secret = settings.visitor_secret.get_secret_value()
        if environment is Environment.PRODUCTION and (not settings.keys or len(secret) < LEAST_SECRET):
            raise SettingsRefused(
                "api.keys (DAOGOU_API__KEYS) and api.visitor_secret (DAOGOU_API__VISITOR_SECRET, at least 32 "
                "characters) must be set in production; `daogou api-key` makes both"
            )
        self._entries = (*settings.keys, *map(entry_of, fresh or ()))
        self._seconds = round(settings.visitor_days * DAY_SECONDS)
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()  # who was checked, and until when
        self._visitors = URLSafeTimedSerializer(secret or token_urlsafe(LEAST_SECRET), salt="daogou visitor")

    def who(self, authorization: str) -> Caller:
        """The caller of an Authorization header. Raises: CallerRefused."""
        digest = sha256(authorization.encode(errors="replace")).digest()
        caller, until = self._known.get(digest, (None, 0.0))
        if caller is None or until < time():
            caller, until = self._checked(authorization)
            self._known[digest] = caller, until
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return caller

    def _checked(self, authorization: str) -> tuple[Caller, float]:
        if not authorization.startswith(PREFIX):
            raise CallerRefused("send `Authorization: Bearer KEY`, or a visitor's token from POST /v1/visitors")
        credential = authorization.removeprefix(PREFIX).strip()
        caller = self._by_key(credential)
        return (caller, inf) if caller is not None else self._by_token(credential)

    def _by_key(self, key: str) -> Caller | None:
        entry = entry_of(key).encode(errors="replace")
        found = [known for known in self._entries if hmac.compare_digest(known.encode(), entry)]
        return Caller(Role(found[0].partition(":")[0]), found[0][-8:]) if found else None

    def _by_token(self, token: str) -> tuple[Caller, float]:
        try:
            named, made = self._visitors.loads(token, max_age=self._seconds, return_timestamp=True)
        except SignatureExpired as error:
            raise CallerRefused("this visitor's token has expired; ask POST /v1/visitors for another") from error
        except BadSignature as error:
            raise CallerRefused("no such key or visitor's token") from error
        user = UserId(str(named))
        return Caller(Role.VISITOR, user, user), made.timestamp() + self._seconds

    def visitor(self, user: UserId) -> tuple[str, int]:
        """A token for one visitor, and how many seconds it is good."""
        return str(self._visitors.dumps(user)), self._seconds


def may(caller: Caller, roles: Sequence[Role]) -> None:
    """Raises: CallerRefused, where the caller's role is none of ``roles``."""
    if caller.role not in roles:
        wanted = " or ".join(role.value for role in roles)
        raise CallerRefused(f"a {caller.role.value} key may not do this; it needs {wanted}", known=True)


def whose(caller: Caller, named: str | None) -> UserId:
    """The user that a request is about. Raises: CallerRefused."""
    if caller.user is not None:
        if named not in (None, caller.user):
            raise CallerRefused("a visitor's token is good for that visitor alone", known=True)
        return caller.user
    if named is None:
        raise CallerRefused("user_id is missing: a key must say whose", known=True)
    return UserId(named)
