"""Long work as the terminal shows it: lines that stay, and a bar for what is being done. No bar in a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(stderr: bool = False) -> Iterator[tuple[Callable[[str], None], Callable[[str, int, int], None]]]:
    """``say`` a line; ``step`` the bar: what is being done, how much of it is, how much there is."""
    console = Console(highlight=False, soft_wrap=True, stderr=stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"))
    shown = Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)
    with shown:
        task = shown.add_task("", total=None)
        yield console.print, lambda what, done, of: shown.update(task, description=what, completed=done, total=of)
