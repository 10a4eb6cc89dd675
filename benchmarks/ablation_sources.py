"""What each source of candidates brings: the engine's own lists without it, nothing trained anew.

Retrieval, which the home surface does not have, is put in instead: a loss below 0 is then what it brings.

That is sound because a candidate's score does not depend on who else is in the list: without a source the lists lack
what it alone proposed, and others take its places. Each row is a surface of its own, the home surface without a source.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from contracts.bundle import Bundle
from contracts.settings import load_settings
from contracts.surface_file import load_surfaces
from contracts.surfaces import HOME, RetrievalStage, SourceStage, Surface, Surfaces
from evaluation.engine_row import Served, ranks_in
from evaluation.metrics import Ranks
from evaluation.sequences import leave_one_out, read
from evaluation.task import TUNING_SHOPPERS
from training.telling import Step

LIST = 50
TEXT = ("words", "similar", "category")
MORE = "nothing, but with retrieval"


def sources(folder: Path, bundle: Bundle | None, step: Step) -> dict[str, Ranks]:
    """For each row the places of the items of validation: the last but one, of shoppers who were drawn."""
    log = read(folder)
    split, surfaces = leave_one_out(log), lesser(load_surfaces())
    some = np.random.default_rng(0).permutation(len(split.pasts))[:TUNING_SHOPPERS]
    pasts, settings = [visits[:-1] for visits in split.learned], load_settings().engine
    served = Served(log, pasts, bundle, settings, step, surfaces=surfaces)
    targets, asked = split.validation[some], some.tolist()
    return {
        name: ranks_in(served.lists(LIST, asked, name), targets, len(log.items)) for name in surfaces.names
    }  # fmt: skip


def lesser(shipped: Surfaces) -> Surfaces:
    """The home surface as it is, named "nothing" for what it lacks; once without each source, and with retrieval."""
    home = shipped.get(HOME)
    if home is None:
        raise ValueError(f"{shipped.origin} has no surface {HOME!r}")
    names = [stage.name for stage in home.sources]
    wanted = {"nothing": (), "all text (ids only)": TEXT, "all but text (text only)": _others(names)}
    wanted |= {name: (name,) for name in names}
    found = {row: _without(home, row, left_out) for row, left_out in wanted.items()}
    found[MORE] = replace(home, name=MORE, sources=(*home.sources, RetrievalStage()))
    return Surfaces({row: surface for row, surface in found.items() if surface.sources}, shipped.origin)


def _others(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in TEXT)


def _without(home: Surface, row: str, left_out: Sequence[str]) -> Surface:
    kept: tuple[SourceStage, ...] = tuple(stage for stage in home.sources if stage.name not in left_out)
    return replace(home, name=row, sources=kept)
