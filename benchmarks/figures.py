"""What a benchmark answers with, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One result: the median of several rounds. `floor`: the same measured for the bare minimum, in the same run.

    `ratio`: the figure against the floor; `goal`: `<= 1.3`, or None where there is none, about the ratio where there is
    one, else about the figure. `note`: how it came about, in a few words.
    """

    name: str
    figure: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    goal: str | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None where there is none."""
        if self.goal is None:
            return None
        relation, bound = self.goal.split()
        measured = self.figure if self.ratio is None else self.ratio
        return measured <= float(bound) if relation == "<=" else measured >= float(bound)

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(
            {
                "name": self.name,
                "figure": _short(self.figure),
                "unit": self.unit,
                "floor": _short(self.floor),
                "ratio": _short(self.ratio),
                "goal": self.goal,
                "reached": self.reached,
                "note": self.note,
            }
        )


def table(figures: Iterable[Figure]) -> str:
    """All of them, for a person."""
    rows = [f"{'':34} {'figure':>12} {'floor':>12} {'ratio':>7}  goal"]
    for one in figures:
        unit = "" if one.reached is not False else "   NOT REACHED"
        rows.append(
            f"{one.name:34} {_text(one.figure):>12} {_text(one.floor):>12} {_text(one.ratio):>7}  "
            f"{one.goal or '':8} {one.unit}{unit}"
        )
    return "\n".join(rows)


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.4g}")


def _text(number: float | None) -> str:
    return "" if number is None else f"{_short(number):,g}"
