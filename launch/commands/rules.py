"""``daogou rules``: the merchandiser's rules: tried, saved, listed, deleted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.options import Broker, Json, RedisUrl, print_json, settings_for

if TYPE_CHECKING:
    from contracts.rules import Rule
    from contracts.rules_api import DryRun

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Boost, bury, pin or hide items by an expression over their fields (docs/rules.md): try, save, list, delete.",
)

RuleName = Annotated[str, typer.Argument(help="The rule's id, or a JSON file that has the rule.")]
Does = Annotated[str, typer.Option("--action", help="boost, bury, pin or hide.")]
When = Annotated[str, typer.Option(help="Which items, e.g. \"'Dresses' in category && price < 50\".")]
Factor = Annotated[float | None, typer.Option(help="Of a boost (above 1) or bury (below 1).")]
Place = Annotated[int | None, typer.Option(help="Of a pin, from 1.")]
Surfaces = Annotated[list[str] | None, typer.Option("--surface", help="Where; none: everywhere. May be repeated.")]
Begin = Annotated[str, typer.Option("--from", help="ISO time from which it is in force (UTC unless it says).")]
End = Annotated[str, typer.Option("--to", help="ISO time at which it ends.")]
Note = Annotated[str, typer.Option(help="For people.")]


@app.command("list")
def list_(broker: Broker = "", as_json: Json = False) -> None:
    """List every rule on the topic, and records that no worker takes, with the reason."""
    import asyncio

    from launch.rules_topic import current_rules

    kept = asyncio.run(current_rules(settings_for(broker).kafka))
    if as_json:
        print_json(kept)
        return
    for rule in kept.rules.values():
        typer.echo(_line(rule))
    for rule_id, why in kept.refused.items():
        typer.echo(f"{rule_id}  REFUSED: {why}")
    typer.echo(f"{len(kept.rules):,} rules" + (f", {len(kept.refused):,} refused" if kept.refused else ""))


@app.command()
def check(
    when: Annotated[str, typer.Argument(help="An expression.")], broker: Broker = "", as_json: Json = False
) -> None:
    """Say which items of the catalogue an expression means, or what is wrong with it and where.

    daogou rules check "brand == 'Hill' && price >= 20"
    """
    import asyncio

    from launch.rules_topic import meaning

    meant = asyncio.run(meaning(settings_for(broker).kafka, when))
    if as_json:
        print_json(meant)
        return
    typer.echo(f"{meant.matches:,} of {meant.items:,} items" + (f": {', '.join(meant.first)} ..." * bool(meant.first)))
    if meant.fails:
        typer.echo(f"it fails for {meant.fails:,} items, which it does not mean: {meant.why_failed}")


@app.command()
def put(
    rule_id: RuleName,
    action: Does = "",
    when: When = "",
    factor: Factor = None,
    place: Place = None,
    surface: Surfaces = None,
    begin: Begin = "",
    end: End = "",
    note: Note = "",
    broker: Broker = "",
) -> None:
    """Save a rule: in force within two seconds. `daogou rules dry-run` with the same options tries it first.

    daogou rules put summer --action boost --when "'Dresses' in category" --factor 2
    """
    import asyncio

    from launch.rules_topic import save_rule

    rule = _rule(rule_id, action, when, factor, place, surface, begin, end, note)
    asyncio.run(save_rule(settings_for(broker).kafka, rule))
    typer.echo(_line(rule))


@app.command()
def delete(rule_ids: Annotated[list[str], typer.Argument(help="Ids of rules.")], broker: Broker = "") -> None:
    """Delete rules: out of force within two seconds."""
    import asyncio

    from launch.rules_topic import delete_rules

    asyncio.run(delete_rules(settings_for(broker).kafka, rule_ids))
    typer.echo(f"{len(rule_ids)} deleted")


@app.command("dry-run")
def dry_run(
    rule_id: RuleName,
    action: Does = "",
    when: When = "",
    factor: Factor = None,
    place: Place = None,
    surface: Surfaces = None,
    begin: Begin = "",
    end: End = "",
    minutes: Annotated[float, typer.Option(min=1, help="How far back slates are taken.")] = 60,
    broker: Broker = "",
    redis: RedisUrl = "",
    as_json: Json = False,
) -> None:
    """Show what a rule would change on the last 1,000 slates, and what is doubtful about it. Nothing is saved.

    daogou rules dry-run summer --action boost --when "'Dresses' in category" --factor 2
    """
    import asyncio

    from launch.rules_topic import dry_run as run

    rule = _rule(rule_id, action, when, factor, place, surface, begin, end, "")
    found = asyncio.run(run(settings_for(broker, redis, {"fresh_seconds": minutes * 60}), rule))
    if as_json:
        print_json(found)
        return
    for line in _report(found):
        typer.echo(line)


def _rule(
    rule_id: str,
    action: str,
    when: str,
    factor: float | None,
    place: int | None,
    surfaces: list[str] | None,
    begin: str,
    end: str,
    note: str,
) -> "Rule":
    """From a file, or from the options. Raises: Unreadable, Refused."""
    import msgspec

    from contracts.codec import decode_rule
    from contracts.errors import Refused

    if rule_id.endswith(".json"):
        path = Path(rule_id)
        if not path.is_file():
            raise Refused(f"there is no file {path}")
        return decode_rule(path.read_bytes())
    if not action or not when:
        raise Refused("a rule needs --action (boost, bury, pin or hide) and --when (which items)")
    given = {
        "rule_id": rule_id, "action": action, "when": when, "factor": factor, "place": place,
        "surfaces": surfaces or [], "valid_from_ms": _moment(begin), "valid_to_ms": _moment(end), "note": note,
    }  # fmt: skip
    return decode_rule(msgspec.json.encode(given))


def _moment(text: str) -> int | None:
    from datetime import UTC, datetime

    from contracts.errors import Refused

    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"{text!r} is no time; write it like 2026-11-27T08:00") from error
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _line(rule: "Rule") -> str:
    from datetime import UTC, datetime

    how = f" x{rule.factor:g}" if rule.factor else f" at {rule.place}" if rule.place else ""
    times = [
        f"{word} {datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        for word, ms in (("from", rule.valid_from_ms), ("to", rule.valid_to_ms))
        if ms is not None
    ]
    where = [f"on {', '.join(rule.surfaces)}"] if rule.surfaces else []
    return "  ".join(
        [rule.rule_id, rule.action.value + how, rule.when, *where, *times, *([rule.note] * bool(rule.note))]
    )


def _report(found: "DryRun") -> list[str]:
    lines = [f"warning: {each}" for each in found.warnings]
    lines.append(f"it means {found.matches:,} items of the catalogue")
    lines.append(
        f"{found.changed:,} of {found.slates:,} slates change ({found.exact:,} by the profile of their moment): "
        f"{found.moved_in:,} items come in, {found.moved_out:,} go out, {found.moved_up:,} move up, "
        f"{found.moved_down:,} down"
    )
    for each in found.examples[:2]:
        lines.append(f"{each.user_id}, {each.surface}")
        lines += [f"  {word}: {', '.join(slot.title or slot.item_id for slot in slots) or 'nothing'}"
                  for word, slots in (("before", each.before), ("after ", each.after))]  # fmt: skip
    return lines
