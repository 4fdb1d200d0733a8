"""Small plots of what is stored, and what it was before: bars that a template draws, in the units of its drawing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lucid_pipeline.units import size

WIDTH = 720
HEIGHT = 120
_MOST_BARS = 90


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of one thing: `raw` as they were, `stored` as they are kept."""

    name: str
    raw: int
    stored: int
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One place of a plot: what it says, where it stands, and how high its two bars are."""

    title: str
    x: float
    width: float
    raw: float
    stored: float
    damaged: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """The bars, and the bytes that the highest of them stands for."""

    bars: Sequence[Bar]
    highest: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def damaged(self) -> bool:
        """Whether any bar is of something damaged."""
        return any(bar.damaged for bar in self.bars)


def in_bytes(found: Sizes) -> str:
    """What a place says of bytes."""
    return f"{found.name}: {size(found.raw)}, stored {size(found.stored)}{', damaged' if found.damaged else ''}"


def plot(sizes: Sequence[Sizes], told: Callable[[Sizes], str] = in_bytes) -> Plot:
    """A place for each, with what is told of it; neighbours share one where they are too many."""
    step = -(-len(sizes) // _MOST_BARS) or 1
    shown = [_together(sizes[first : first + step]) for first in range(0, len(sizes), step)]
    highest = max((max(found.raw, found.stored) for found in shown), default=0) or 1
    width = WIDTH / max(len(shown), 1)
    scale = HEIGHT / highest
    bars = [
        Bar(
            told(found),
            x=round(place * width, 2),
            width=round(width * 0.9, 2),
            raw=round(found.raw * scale, 2),
            stored=round(found.stored * scale, 2),
            damaged=found.damaged,
        )
        for place, found in enumerate(shown)
    ]
    return Plot(bars, highest)


def _together(parts: Sequence[Sizes]) -> Sizes:
    if len(parts) == 1:
        return parts[0]
    raw, stored = sum(part.raw for part in parts), sum(part.stored for part in parts)
    return Sizes(f"{parts[0].name} to {parts[-1].name}", raw, stored, any(part.damaged for part in parts))
