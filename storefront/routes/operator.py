"""What the operator asks: how it goes, and what could not be processed."""

from contracts.api import Letters, Operator
from storefront.endpoint import Call


async def get_operator(call: Call) -> Operator:
    """How it goes: now, and for the last hour."""
    return call.window.board.now()


async def get_dead_letters(call: Call) -> Letters:
    """The last inputs that could not be processed, newest first, and why. ``daogou dead-letters`` sends them back."""
    return Letters(letters=await call.window.letters.newest())
