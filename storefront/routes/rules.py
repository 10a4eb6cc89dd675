"""The merchandiser's rules: listed, tried, saved, deleted. Saving goes through the log, as everything does."""

from time import time

from contracts.codec import encode_json
from contracts.errors import Missing, Reason, Unacceptable
from contracts.rules import Rule
from contracts.rules_api import DryRun, RefusedRule, RuleList, RuleSaved, RuleState
from contracts.topics import RULES
from inference.engine import Engine
from inference.rules.book import Ruled
from storefront.endpoint import Call
from storefront.rehearsal import counts_of, rehearse
from streams.names import physical
from streams.producer import Outgoing
from streams.rules import state_of


async def get_rules(call: Call) -> RuleList:
    """Every rule, whether it is in force now, and how many items it means; and records that are no rules."""
    return await call.window.parts.engine.ask(_list)


async def get_rule(call: Call) -> RuleState:
    """One rule."""
    rule_id = call.path["rule_id"]
    found = await call.window.parts.engine.ask(lambda engine: _state(engine, engine.rules.get(rule_id)))
    if found is None:
        raise _missing(rule_id)
    return found


async def put_rule(call: Call) -> RuleSaved:
    """Save a rule or its new form: in force within two seconds. ``POST /v1/rules/dry-run`` says what it will change."""
    rule: Rule = call.body
    if rule.rule_id != call.path["rule_id"]:
        raise Unacceptable(Reason.KEY_MISMATCH, "rule_id in the body is not the one in the path")
    await call.window.parts.engine.ask(lambda engine: engine.rules.admit(rule))
    await _to_rules(call, rule.rule_id, encode_json(rule))
    return RuleSaved(rule_id=rule.rule_id, saved=True)


async def delete_rule(call: Call) -> RuleSaved:
    """Delete a rule: out of force within two seconds."""
    rule_id = call.path["rule_id"]
    known = await call.window.parts.engine.ask(lambda e: rule_id in e.rules or rule_id in e.rules.refused)
    if not known:
        raise _missing(rule_id)
    await _to_rules(call, rule_id, None)
    return RuleSaved(rule_id=rule_id, saved=False)


async def post_dry_run(call: Call) -> DryRun:
    """What a rule would change on the last 1,000 slates, before it is saved; and what is wrong or doubtful about it."""
    return await rehearse(call.window, call.body)


async def _to_rules(call: Call, rule_id: str, value: bytes | None) -> None:
    topic = physical(call.window.settings.kafka, RULES)
    await call.window.send([Outgoing(topic, rule_id.encode(), value)])


def _list(engine: Engine) -> RuleList:
    states = (_state(engine, each) for each in engine.rules.ordered)
    refused = (RefusedRule(rule_id=rule_id, why=why) for rule_id, why in sorted(engine.rules.refused.items()))
    return RuleList(rules=tuple(each for each in states if each is not None), refused=tuple(refused))


def _state(engine: Engine, ruled: Ruled | None) -> RuleState | None:
    if ruled is None:
        return None
    now = int(time() * 1000)
    matches, fails = counts_of(engine, ruled, now)
    why = ruled.matcher.expression.why_failed if fails else ""
    return RuleState(rule=ruled.rule, state=state_of(ruled.rule, now), matches=matches, fails=fails, why_failed=why)


def _missing(rule_id: str) -> Missing:
    return Missing(f"there is no rule {rule_id!r}; GET /v1/rules lists them")
