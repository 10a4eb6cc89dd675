"""The ablation: a part that is all there is brings something, one that says nothing does not."""

from pathlib import Path

import numpy as np
from msgspec.structs import replace

from benchmarks.ablation import WHOLE, rows_of
from benchmarks.ablation_features import examples, places, without
from benchmarks.ablation_sources import lesser, sources
from contracts.features import FEATURES
from contracts.protocol import Protocol
from contracts.surface_file import load_surfaces
from contracts.surfaces import HOME
from tests.unit.test_splits import kinds, write
from training.config import PRESETS
from training.log import read_log


def test_each_surface_lacks_one_source_and_nothing_else() -> None:
    home = load_surfaces().get(HOME)
    assert home is not None
    found = lesser(load_surfaces())
    names = [stage.name for stage in home.sources]
    assert set(names) | {WHOLE} <= set(found.names)
    for name in names:
        surface = found.get(name)
        assert surface is not None
        assert [stage.name for stage in surface.sources] == [other for other in names if other != name]
        assert (surface.filters, surface.scorer, surface.selectors) == (home.filters, home.scorer, home.selectors)


def test_what_never_proposes_brings_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, kinds(100))
    lists = {row.without: row for row in rows_of("sources", sources(folder, None, lambda *_: None))}
    assert lists[WHOLE].hit_rate_10 > 0.9
    assert lists[WHOLE].verdict == ""
    assert lists["buy-again"].verdict == "brings nothing"


def test_a_group_is_gone_everywhere_and_where_all_is_words_they_bring_something(tmp_path: Path) -> None:
    folder = write(tmp_path, kinds(60))
    log, plan = read_log(folder / "events.jsonl.gz", folder / "items.jsonl.gz", 1), PRESETS["tiny"]
    plan = replace(plan, protocol=Protocol.LEAVE_ONE_OUT)
    learn, check = examples(log, np.eye(len(log.items), 8, dtype=np.float32), plan)
    gone = without(learn, ("trend",))
    assert not any(batch.features[..., FEATURES.index("trend")].any() for batch in gone)
    assert all((a.features[..., 0] == b.features[..., 0]).all() for a, b in zip(learn, gone, strict=True))
    groups = {WHOLE: (), "all": FEATURES, "newness": ("newness",)}
    found = {row.without: row for row in rows_of("features", places(learn, check, plan, groups, lambda _: None))}
    assert set(found) == {WHOLE, "all"}, "nothing here is new"
    assert found["all"].ndcg_10 < found[WHOLE].ndcg_10
