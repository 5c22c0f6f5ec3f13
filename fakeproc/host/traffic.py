"""How often a source interrupts: a rate, evenly spaced or at random.

Nothing ticks.  A source is asked how many interrupts there have been up to an
instant, and the answer does not depend on how often it is asked: an idle
machine costs nothing whatever its rates, and looking at it changes nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from fractions import Fraction
from random import Random

from fakeproc.timeline import SECOND

__all__ = ["Poisson", "Source", "Steady", "source"]


class Source(ABC):
    """Interrupts from the instant `start` (ns) on, `rate` a second on the average."""

    kind: str

    def __init__(self, rate: float, start: int) -> None:
        self.rate = rate
        self._start = start
        self._taken = 0

    def take(self, instant: int) -> int:
        """How many there have been since it was last asked."""
        due = self._arrivals(max(0, instant - self._start))
        count, self._taken = due - self._taken, due
        return count

    def next_after(self, instant: int) -> int | None:
        """The moment (ns) of the first one after `instant`; None where none will come."""
        following = self._following(max(0, instant - self._start))
        return None if following is None else self._start + following

    @abstractmethod
    def _arrivals(self, elapsed: int) -> int:
        """How many there have been `elapsed` nanoseconds after the start."""

    @abstractmethod
    def _following(self, elapsed: int) -> int | None:
        """When the first one comes that has not come `elapsed` nanoseconds after the start."""


class Steady(Source):
    """One interrupt every 1/rate seconds."""

    kind = "steady"

    def __init__(self, rate: float, start: int) -> None:
        super().__init__(rate, start)
        per_ns = Fraction(rate).limit_denominator(10**9) / SECOND
        self._numerator, self._denominator = per_ns.numerator, per_ns.denominator

    def _arrivals(self, elapsed: int) -> int:
        return elapsed * self._numerator // self._denominator

    def _following(self, elapsed: int) -> int | None:
        if not self._numerator:
            return None
        number = self._arrivals(elapsed) + 1
        return -(-number * self._denominator // self._numerator)


class Poisson(Source):
    """Interrupts that know nothing of one another.

    The process is drawn from the top: so many in the longest time that can
    be, so many of them in its first half, and so on down to the instant that
    is asked for.  Every draw has a generator of its own, seeded by where it
    is, so that the same question always has the same answer.
    """

    kind = "poisson"
    _SPAN = 1 << 60  # ns, some 36 years
    _FEW = 32  # so many are placed one by one

    def __init__(self, rate: float, start: int, seed: str) -> None:
        super().__init__(rate, start)
        self._seed = seed
        self._leaf = (0, 0)  # the stretch of time whose arrivals are known
        self._before = 0
        self._places: list[int] = []

    def _arrivals(self, elapsed: int) -> int:
        begin, end = self._leaf
        if not begin <= elapsed < end:
            self._descend(elapsed)
        return self._before + bisect_right(self._places, elapsed)

    def _following(self, elapsed: int) -> int | None:
        so_far = self._arrivals(elapsed)
        while self._before + len(self._places) == so_far:  # the next one is in a later stretch
            end = self._leaf[1]
            if end >= self._SPAN:
                return None
            self._descend(end)
        return self._places[so_far - self._before]

    def _descend(self, elapsed: int) -> None:
        begin, span, before = 0, self._SPAN, 0
        count = self._draw(Random(f"{self._seed}/all"), self.rate * span / SECOND)  # noqa: S311
        while count > self._FEW and span > 1:
            random = Random(f"{self._seed}/{begin}/{span}")  # noqa: S311
            span //= 2
            first = self._halve(random, count)
            if elapsed < begin + span:
                count = first
            else:
                begin, before, count = begin + span, before + first, count - first
        random = Random(f"{self._seed}/{begin}/{span}/places")  # noqa: S311
        self._leaf = (begin, begin + span)
        self._before = before
        self._places = sorted(begin + random.randrange(span) for _ in range(count))

    @staticmethod
    def _draw(random: Random, mean: float) -> int:
        """A Poisson number: exact where few, by the normal law where many."""
        if mean > 500:
            return max(0, round(random.gauss(mean, math.sqrt(mean))))
        count, product, limit = 0, random.random(), math.exp(-mean)
        while product > limit:
            count, product = count + 1, product * random.random()
        return count

    @staticmethod
    def _halve(random: Random, count: int) -> int:
        """How many of `count` fall into the first half (binomial)."""
        if count <= 1024:
            return random.getrandbits(count).bit_count()
        half = round(random.gauss(count / 2, math.sqrt(count) / 2))
        return min(count, max(0, half))


def source(kind: str, rate: float, start: int, seed: str) -> Source:
    """A source of that kind; raises ValueError for another kind or a negative rate."""
    if not (rate >= 0 and math.isfinite(rate)):
        raise ValueError(f"{rate} is not a rate")
    if kind == Steady.kind:
        return Steady(rate, start)
    if kind == Poisson.kind:
        return Poisson(rate, start, seed)
    raise ValueError(f"{kind!r} is neither steady nor poisson")
