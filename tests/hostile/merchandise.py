"""Rules that are none, cost too much, or come from who may not make any."""

import json
from collections.abc import Iterator
from typing import Any

from tests.hostile.cases import Fate, Hostile, Keys, request


def rules(keys: Keys) -> Iterator[Hostile]:
    """Each is saved and tried; neither may be."""
    wrong: dict[str, dict[str, Any]] = {
        "no expression": {"when": ""}, "10 kB of expression": {"when": "x" * 10_000}, "a NUL": {"when": "\0"},
        "half a text": {"when": "title == '"}, "another's field": {"when": "password == 'x'"},
        "a script": {"when": "__import__('os').system('id')"}, "1,000 brackets": {"when": "(" * 1_000},
        "1,000 negations of nothing": {"when": "!" * 1_000}, "a bad pattern's type": {"when": "title.matches(5)"},
        "a loop in a loop": {"when": "attributes.all(a, attributes.all(b, attributes.all(c, a == c)))"},
        "a text as number": {"when": "true", "action": "boost", "factor": "1e3"},
        "infinity": {"when": "true", "action": "boost", "factor": 1e999}, "a list as rule": {"when": ["true"]},
        "an action of its own": {"action": "drop"}, "an id of a path": {"rule_id": "../../rules"},
        "place 0": {"action": "pin", "place": 0}, "place 2**63": {"action": "pin", "place": 2**63},
        "10,000 surfaces": {"surfaces": ["home"] * 10_000}, "a prototype": {"__proto__": {"action": "pin"}},
        "an end before its beginning": {"valid_from_ms": 2, "valid_to_ms": 1}, "1 MB of note": {"note": "n" * 990_000},
    }  # fmt: skip
    for name, fields in wrong.items():
        body = json.dumps({"rule_id": "r", "action": "hide", "when": "true"} | fields).encode()
        for way, method, path in (("saved", "PUT", "/v1/rules/r"), ("tried", "POST", "/v1/rules/dry-run")):
            yield Hostile(f"a rule with {name}, {way}", Fate.REFUSED, request(method, path, keys.server, body))
    good = json.dumps({"rule_id": "r", "action": "hide", "when": "true"}).encode()
    for who, key in (("page", keys.page), ("visitor", keys.visitor), ("nobody", "")):
        for method, path in (("PUT", "/v1/rules/r"), ("POST", "/v1/rules/dry-run"), ("DELETE", "/v1/rules/r")):
            yield Hostile(f"a {who}'s {method} on {path}", Fate.REFUSED, request(method, path, key, good))
        yield Hostile(f"a {who} reads rules", Fate.REFUSED, request("GET", "/v1/rules", key))
    for path in ("%00", "..%2f..", "a%20b", "r%0d%0aX: y", "%ff", "a" * 500):
        yield Hostile(
            f"a rule called {path[:20]}", Fate.REFUSED, request("PUT", f"/v1/rules/{path}", keys.server, good)
        )
        yield Hostile(f"no rule called {path[:20]}", Fate.REFUSED, request("GET", f"/v1/rules/{path}", keys.server))


FAMILIES = (rules,)
