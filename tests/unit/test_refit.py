"""Once it is chosen how long is best, all of the log teaches anew for as long."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from contracts.errors import Diverged
from contracts.events import Click
from tests.unit.test_training_run import PLAN, START, Killed, kill_after, replay_of, table
from training.chunks import CHECK, LEARN, Chunks, write_chunks
from training.fit import fit
from training.fitting import Fitted, Fitting, among_all
from training.lists import Lists
from training.run_folder import Progress, RunFolder
from training.train import PLAIN


def judged(folder: Path, learn: Chunks, since_best: int = 1) -> RunFolder:
    """A run whose choice is made: one pass of the features alone, two epochs."""
    made = RunFolder(folder / "out", "key")
    fitting = Fitting(torch.ones(len(table()), 4), PLAN, learn)
    progress = Progress(epochs=3, since_best=since_best, best=0.5, passes=1, figures={"kept": 0.5})
    made.save(fitting.tensors(), progress)
    return made


def chunks(folder: Path) -> tuple[Chunks, Chunks]:
    """What teaches and what judges, of a small log."""
    events = [Click(event_id=f"e{n}", user_id=f"u{n % 2}", time_ms=START + n, item_id=f"i{n % 20}") for n in range(900)]
    batches = replay_of(Lists(table(), 7, 10, 4, 0)).run(events)
    write_chunks(((number > 2, batch) for number, batch in enumerate(batches)), folder, lambda _: None)
    return Chunks.of(folder / LEARN), Chunks.of(folder / CHECK)


def refitted(folder: RunFolder, learn: Chunks, check: Chunks, say: Callable[[str], None] = lambda _: None) -> Fitted:
    return fit(learn, check, torch.ones(len(table()), 4), PLAN, folder, PLAIN, say, lambda *_: None)


def test_once_judged_it_is_taught_anew_with_what_judged(tmp_path: Path) -> None:
    """As long as was best, with the figures of the choice; killed in the midst it goes on and ends the same."""
    learn, check = chunks(tmp_path)
    made = refitted(judged(tmp_path / "a", learn), learn, check)
    assert made.metrics == {"kept": 0.5}
    killed = judged(tmp_path / "b", learn)
    with pytest.raises(Killed):
        refitted(killed, learn, check, kill_after("epoch 1 of 2 with all of it"))
    said: list[str] = []
    again = refitted(killed, learn, check, said.append)
    assert said[0] == "going on with all of it after epoch 0"
    assert said[-1].startswith("epoch 2 of 2")
    alone = refitted(judged(tmp_path / "c", learn), learn, learn[:1])
    one, two, three = (each.ranker.state_dict() for each in (made, again, alone))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["item.weight"], three["item.weight"])


def test_where_the_features_alone_rank_best_retrieval_is_taught_all_the_same(tmp_path: Path) -> None:
    learn, check = chunks(tmp_path)
    said: list[str] = []
    made = refitted(judged(tmp_path / "a", learn, since_best=3), learn, check, said.append)
    assert "1 passes of the features alone, 3 epochs for retrieval" in said[1]
    batch = learn[0]
    lists = Fitting(torch.ones(len(table()), 4), PLAN, learn)
    untaught = lists.ranker.query.weight.clone()
    lists.ranker.load_state_dict(made.ranker.state_dict())
    with torch.no_grad():
        alone = made.ranker.plain(made.ranker.standard(torch.from_numpy(batch.features)))[..., 0]
    np.testing.assert_allclose(lists.answer(batch).scores, alone.numpy(), atol=1e-6)
    assert not torch.equal(untaught, made.ranker.query.weight)
    killed = judged(tmp_path / "b", learn, since_best=3)
    with pytest.raises(Killed):
        refitted(killed, learn, check, kill_after("epoch 1 of 3 with all of it"))
    one, two = (each.ranker.state_dict() for each in (made, refitted(killed, learn, check)))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_figures_of_retrieval_are_those_of_its_epochs(tmp_path: Path) -> None:
    """Also where the features alone stay the best: their own were of a retriever that had learned nothing."""
    fitting = Fitting(torch.ones(len(table()), 4), PLAN, chunks(tmp_path)[0])
    before = Progress(best=0.5, figures={"validation_ndcg_at_10": 0.5, "validation_retrieval_hit_rate_at_10": 0.0})
    worse = {"validation_ndcg_at_10": 0.4, "validation_retrieval_hit_rate_at_10": 0.3}
    after = fitting.judged(before, 0.4, worse)
    assert after.figures == {"validation_ndcg_at_10": 0.5, "validation_retrieval_hit_rate_at_10": 0.3}


def test_an_epoch_whose_last_step_leaves_no_numbers_is_noticed(tmp_path: Path) -> None:
    """The weights themselves are finite still; the loss of a next step would say it, and there is none."""
    learn = chunks(tmp_path)[0][:1]
    one_step = replace(PLAN, batch=100_000, learning_rate=2e37)
    with pytest.raises(Diverged, match=r"what it says is not finite after epoch 1: the learning rate \(2e\+37\)"):
        Fitting(torch.ones(len(table()), 4), one_step, learn).epoch(learn, 0, lambda what, done, of: None)


@pytest.mark.parametrize("cells", [1, 7, 1 << 24])
def test_places_among_all_items_are_the_same_however_many_are_compared_at_once(
    monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    monkeypatch.setattr("training.fitting.CELLS", cells)
    drawn = torch.Generator().manual_seed(0)
    queries, whole = (torch.randn(size, 4, generator=drawn) for size in (6, 5))
    answers = torch.randint(5, (6, 1), generator=drawn)
    ranked = (queries @ whole.T).argsort(dim=1, descending=True).tolist()
    places = [row.index(answer) for row, answer in zip(ranked, answers[:, 0].tolist(), strict=True)]
    assert among_all(queries, answers, whole).tolist() == places
