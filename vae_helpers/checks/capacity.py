"""Where an answer to the open exercise of lesson 05 should arrive, from its own models.

Models that are each the best at their price fence in every other one: at a given rate its
distortion lies above their tangents, and the best curve lies below their chords.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from vae_helpers.records import html_table

TITLE = "Where you should arrive (after your own attempt)"
HEAD = ("at the rate, nats", "distortion, nats", "-ELBO, nats")


def bracket(points: Mapping[float, tuple[float, float]], rate: float) -> tuple:
    """Bounds on the lowest distortion at a rate, from the best models of some prices.

    Args:
        points: beta -> (rate, distortion), in nats.
        rate: in nats.

    Returns:
        The largest of the tangents, lines of slope -beta through the points, and the
        chord between the two neighbours of this rate; it is inf where there are none.
    """
    low = max(d + beta * (r - rate) for beta, (r, d) in points.items())
    high = math.inf
    for (r, d), (r_next, d_next) in pairwise(sorted(points.values())):
        if r <= rate <= r_next and r < r_next:
            high = d + (rate - r) / (r_next - r) * (d_next - d)
    return low, high


@dataclass(frozen=True)
class Arrival:
    """Target values; a notebook shows them under a fold when they end a cell."""

    rows: list[tuple[str, str, str]]
    gaps: str
    settings: str

    def __repr__(self) -> str:
        lines = [f"{TITLE}:", "; ".join(HEAD), *("; ".join(row) for row in self.rows)]
        return "\n".join([*lines, self.gaps, self.settings])

    def _repr_html_(self) -> str:
        table = html_table(HEAD, self.rows, "<td>")
        said = "".join(f"<p>{html.escape(x)}</p>" for x in (self.gaps, self.settings))
        return f"<details><summary>{TITLE}</summary>{table}{said}</details>"


def where_to_arrive(
    points: Mapping[tuple[float, int], Mapping[str, float]],
    gaps: Mapping[tuple[float, int], float],
    rotated: Sequence[float],
    rates: Sequence[float],
    settings: str,
) -> Arrival:
    """Targets at some rates, from the medians of the lesson's models.

    Args:
        points: (beta, seed) -> what was measured, with "rate" and "distortion" in nats.
        gaps: (beta, seed) -> mean mutual information gap.
        rotated: gaps of rotated perfect codes.
        rates: in nats; those outside the range of the models are left out.
        settings: in words, shown below the table.
    """
    runs = {
        beta: [p for (b, _), p in points.items() if b == beta] for beta, _ in points
    }
    middle = {
        beta: tuple(
            median(run[name] for run in found) for name in ("rate", "distortion")
        )
        for beta, found in runs.items()
    }
    rows = []
    for rate in rates:
        low, high = bracket(middle, rate)
        if math.isfinite(high):
            nats = f"{low:.1f} to {high:.1f}", f"{low + rate:.1f} to {high + rate:.1f}"
            rows.append((f"{rate:g}", *nats))
    words = (
        f"Gaps: {min(gaps.values()):.3f} to {max(gaps.values()):.3f} for the models of the "
        f"lesson, {min(rotated):.3f} to {max(rotated):.3f} for rotated codes."
    )
    return Arrival(rows, words, settings)
