"""What shoppers took back is not trained on."""

from pathlib import Path

from tiny_shop import NOW_MS, view

from contracts.codec import encode_json
from contracts.events import Consent, Forget
from training.log import read_log
from training.permitted import permitted


def at(place: int, user: str = "u"):
    return view(place, user, 1000 - place)


def consent(place: int, granted: bool):
    return Consent(event_id=f"c{place}", user_id="u", time_ms=NOW_MS - 1000 + place, granted=granted)


def forget(place: int):
    return Forget(event_id=f"f{place}", user_id="u", time_ms=NOW_MS - 1000 + place)


def test_nothing_from_before_the_last_erasure_is_read_and_others_are_untouched() -> None:
    other = at(1, "v")
    assert list(permitted([at(0), other, forget(2), at(3), forget(4), at(5)])) == [other, at(5)]


def test_nothing_is_read_while_consent_is_refused() -> None:
    assert list(permitted([at(0), consent(1, False), at(2), consent(3, True), at(4)])) == [at(4)]


def test_a_log_is_read_so(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(map(encode_json, [at(0), forget(1), at(2), at(3)])))
    assert read_log(file, None).events == (at(2), at(3))


def test_the_first_share_of_a_log_knows_nothing_of_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(encode_json(at(place)) for place in range(10)))
    whole, part = read_log(file, None), read_log(file, None, until=0.6)
    assert part.events == whole.events[:6]
    assert [each.item_id for each in part.items] == [f"i{place}" for place in range(6)]
    assert part.digest != whole.digest
