"""What the demo shows while it runs: a live picture in a terminal, plain lines elsewhere."""

from contextlib import AbstractContextManager, nullcontext
from time import monotonic

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from launch.demo.figures import Figures, Quantiles
from launch.demo.plan import BESTSELLERS, DAOGOU
from launch.demo.story import Story

LINE_SECONDS = 5.0


class Screen:
    """Tells a person how it goes."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._began = monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the demo was started."""
        return monotonic() - self._began

    def say(self, text: str) -> None:
        """One line, with the seconds since the start."""
        self.console.print(f"[dim]{self.elapsed:5.1f} s[/dim]  {text}", soft_wrap=True)

    def live(self, figures: Figures, story: Story) -> "Performance":
        """What is shown while the shoppers shop."""
        return Performance(self, figures, story)


class Performance:
    """The live part. Call ``refresh`` often; it draws when it is time to."""

    def __init__(self, screen: Screen, figures: Figures, story: Story, line_seconds: float = LINE_SECONDS) -> None:
        self._screen, self._figures, self._story = screen, figures, story
        self._began = self._last_line = monotonic()
        self._line_seconds = line_seconds
        self._live = Live(console=screen.console, auto_refresh=False) if screen.console.is_terminal else None

    def __enter__(self) -> "Performance":
        self._frame: AbstractContextManager[object] = self._live or nullcontext()
        self._frame.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._frame.__exit__(None, None, None)

    def refresh(self) -> None:
        """Draw, or say a line every few seconds."""
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)
        elif monotonic() - self._last_line >= self._line_seconds:
            self._last_line = monotonic()
            self._screen.say("  ".join(f"{name} {value}" for name, value in self._values()))

    def _values(self) -> list[tuple[str, str]]:
        figures, seconds = self._figures, max(monotonic() - self._began, 1e-3)
        fresh = Quantiles.of(figures.freshness)
        arms = [
            (f"clicks/100 {name}", f"{arm.per_hundred(arm.clicks):.1f} of {arm.shown}")
            for name, arm in ((name, figures.arms[name]) for name in (DAOGOU, BESTSELLERS))
        ]
        return [
            ("events/s", f"{figures.events / seconds:.1f}"),
            ("slates/s", f"{figures.slates / seconds:.1f}"),
            ("freshness p50/p99", f"{fresh.p50:.0f}/{fresh.p99:.0f} ms"),
            *arms,
        ]

    def _picture(self) -> RenderableType:
        table = Table.grid(padding=(0, 3))
        for _ in range(2):
            table.add_column()
        for name, value in self._values():
            table.add_row(f"[dim]{name}[/dim]", f"[bold]{value}[/bold]")
        return Group(Panel(table, title="daogou", subtitle="freshness: event time to slate received"), self._tale())

    def _tale(self) -> RenderableType:
        if not self._story.hero:
            return Panel("[dim]nobody has clicked yet[/dim]", title="one shopper")
        did = Table.grid()
        for deed in self._story.deeds:
            did.add_row(deed)
        sees = Table.grid(padding=(0, 2))
        for title, reason in self._story.sees:
            sees.add_row(title, f"[dim]{reason}[/dim]")
        return Panel(Group("[bold]did[/bold]", did, "[bold]now sees[/bold]", sees), title=self._story.hero)
