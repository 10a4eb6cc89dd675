"""What a log lets training read: who was forgotten stays forgotten, and who refused teaches nothing."""

from collections.abc import Iterator, Sequence

from contracts.events import AnyEvent, Consent, UserId, erases


def permitted(events: Sequence[AnyEvent]) -> Iterator[AnyEvent]:
    """In order, without what a shopper did before their last erasure, and without all of it while consent is refused.

    ``events`` stand in the order of time.
    """
    erased = {UserId(event.user_id): number for number, event in enumerate(events) if erases(event)}
    refused: set[UserId] = set()
    for number, event in enumerate(events):
        user = UserId(event.user_id)
        if isinstance(event, Consent):
            (refused.discard if event.granted else refused.add)(user)
        elif number > erased.get(user, -1) and user not in refused:
            yield event
