"""Sheets on which images lie: flat or bent, pushed off and pulled back."""

import math

from vae_helpers.drawings.svg import Point, Sheet, between


def _arms(t: float) -> Point:
    """A bent curve in pixels: two long arms and an arc, from t = 0 to 1."""
    arm, radius, left, middle = 300.0, 78.0, 90.0, 196.0
    arc = math.pi * radius
    s = t * (2 * arm + arc)
    if s < arm:
        return left + s, middle - radius
    if s > arm + arc:
        return left + 2 * arm + arc - s, middle + radius
    angle = (s - arm) / radius - math.pi / 2
    return left + arm + radius * math.cos(angle), middle + radius * math.sin(angle)


def _pull(point: Point, sigma: float) -> Point:
    """The mean of the clean candidates of a noisy point, weighed by the noise's density."""
    candidates = [_arms(t) for t in between(0, 1, 800)]
    weights = [
        math.exp(-0.5 * (math.dist(point, clean) / sigma) ** 2) for clean in candidates
    ]
    total = sum(weights)
    x = sum(w * c[0] for w, c in zip(weights, candidates, strict=True)) / total
    y = sum(w * c[1] for w, c in zip(weights, candidates, strict=True)) / total
    return x, y


def push_and_pull(sheet: Sheet) -> None:
    """Noise pushes off a curve, and the mean of the candidates pulls back."""
    sheet.begin(
        390,
        "Noise pushes off, the denoiser pulls back",
        """A denoiser returns the mean of all clean candidates. Between two candidates that mean
        is no image at all.""",
        """Noise pushes points off a bent curve, and arrows bring them back near to it. A point
        halfway between two arms of the curve has candidates on both, and its mean stays between
        the arms.""",
    )
    sigma = 34.0
    with sheet.part("data"):
        sheet.curve([_arms(t) for t in between(0, 1, 120)], "data", width=3)
        sheet.text(92, 108, "clean images lie here", anchor="start")
    pushes = [(0.16, 12, 48), (0.32, 10, -46), (0.53, 58, 14), (0.84, -8, 44)]
    for t, dx, dy in pushes:
        x, y = _arms(t)
        noisy = (x + dx, y + dy)
        with sheet.part("noise"):
            sheet.arrow((x, y), noisy, role="noise", dash="dashed", width=2.5)
            sheet.square(*noisy, 5, "noise")
        with sheet.part("data"):
            sheet.circle(x, y, 5, "data")
        with sheet.part("denoiser"):
            end = _pull(noisy, sigma)
            offset = (
                (noisy[0] + 9, noisy[1]) if abs(dy) > 20 else (noisy[0], noisy[1] + 9)
            )
            sheet.arrow(offset, end, role="decoder", width=2.5)
            sheet.circle(*end, 5, "decoder", fill=0.3)
    with sheet.part("between"):
        middle = (250.0, 196.0)
        end = _pull(middle, sigma)
        sheet.square(*middle, 5, "noise")
        for y in (118, 274):
            sheet.curve([middle, (250, y)], width=1, dash="dotted")
        sheet.circle(*end, 10, "decoder", fill=0, width=2.5)
        sheet.text(266, 192, "halfway: the mean stays", anchor="start")
        sheet.text(266, 210, "between the two arms", anchor="start")
    with sheet.part("noise"):
        sheet.arrow((30, 362), (78, 362), role="noise", dash="dashed", width=2.5)
        sheet.text(88, 367, "noise pushes off", anchor="start")
    with sheet.part("denoiser"):
        sheet.arrow((240, 362), (288, 362), role="decoder", width=2.5)
        sheet.text(
            298, 367, "denoiser pulls to the mean of the candidates", anchor="start"
        )


def _bend(t: float) -> Point:
    """The S on which the points lie, for t from -1 to 1."""
    return t, 0.62 * math.sin(2.9 * t)


_POINTS = [
    (x, y + 0.075 * (1 if i % 2 else -1) * (1 + 0.5 * (i % 3)))
    for i, (x, y) in enumerate(_bend(t) for t in between(-1, 1, 16))
]


def _on_the_line(points: list[Point]) -> list[Point]:
    """Feet on the first principal axis of points."""
    n = len(points)
    mx, my = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    xx = sum((x - mx) ** 2 for x, _ in points)
    yy = sum((y - my) ** 2 for _, y in points)
    xy = sum((x - mx) * (y - my) for x, y in points)
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    c, s = math.cos(angle), math.sin(angle)
    along = [(x - mx) * c + (y - my) * s for x, y in points]
    return [(mx + a * c, my + a * s) for a in along]


def _on_the_bend(points: list[Point]) -> list[Point]:
    """The nearest point of the S for each point."""
    candidates = [_bend(t) for t in between(-1.1, 1.1, 880)]
    return [min(candidates, key=lambda c, p=p: math.dist(c, p)) for p in points]


def flat_and_bent(sheet: Sheet) -> None:
    """A line and a curve through the same points."""
    sheet.begin(
        350,
        "One number for each point: flat or bent?",
        """A bent curve leaves smaller residuals than the best line, for the same one number
        per point.""",
        """Points in the form of an S are drawn twice: with the first principal axis and long
        residuals, and with a curve through them and short ones.""",
    )
    panels = [
        ("flat", "flat: principal axis", "dashed", _on_the_line(_POINTS)),
        ("bent", "bent: a decoder with a hidden layer", "solid", _on_the_bend(_POINTS)),
    ]
    for i, (part, words, dash, feet) in enumerate(panels):
        middle = 168 + 304 * i

        def place(point: Point, middle: float = middle) -> Point:
            return middle + 124 * point[0], 182 - 124 * point[1]

        with sheet.part(part):
            line = [min(feet), max(feet)]
            if part == "bent":
                line = [_bend(t) for t in between(-1.05, 1.05)]
            sheet.curve([place(p) for p in line], "decoder", width=3, dash=dash)
            for point, foot in zip(_POINTS, feet, strict=True):
                sheet.curve([place(point), place(foot)], "data", width=1.2)
                sheet.circle(*place(point), 4, "data")
            error = sum(
                math.dist(p, f) ** 2 for p, f in zip(_POINTS, feet, strict=True)
            )
            sheet.text(middle, 74, words, bold=True)
            sheet.text(middle, 308, f"mean squared residual {error / len(_POINTS):.3f}")
    sheet.text(
        320, 334, "dots: images of two pixels; thin lines: what is lost", size=13
    )
