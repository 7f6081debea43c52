"""Codes that say nothing, and places where no code lies."""

import math

from vae_helpers.drawings.machine import ONE, SEVEN, Pixels, picture
from vae_helpers.drawings.svg import Sheet, between, gaussian, scale


def kl_to_prior(mu: float, sigma: float) -> float:
    """KL( N(mu, sigma^2) || N(0, 1) ) in nats."""
    return 0.5 * (mu**2 + sigma**2 - 1) - math.log(sigma)


def collapse(sheet: Sheet) -> None:
    """Two machines: one sends codes, the other does not."""
    healthy = [(-1.3, 0.4), (1.1, 0.45)]
    sheet.begin(
        452,
        "Posterior collapse: the code says nothing",
        """A collapsed code costs 0 nats and says nothing: q is the prior for every image, and
        the decoder gives all images one picture.""",
        """Two machines stand one above the other, each with a 7 and a 1 as images. In the healthy
        one the images have narrow bells at different places, and both come out again. In the
        collapsed one both bells lie on the prior, the way to the decoder is crossed out, and
        the mean of both images comes out twice.""",
    )
    rows = [("healthy", 62, healthy), ("collapsed", 262, [(0.0, 1.0)] * 2)]
    for part, top, posteriors in rows:
        _machine(sheet, part, top, posteriors)
    sheet.curve([(20, 250), (620, 250)], width=1, dash="dotted")


def _machine(
    sheet: Sheet, part: str, top: float, posteriors: list[tuple[float, float]]
) -> None:
    """One row: two images, their posteriors, and what comes out."""
    alive = part == "healthy"
    middle, base = top + 84, top + 138
    place, unit = scale(-3.2, 3.2, 176, 404), 78.0
    images = [SEVEN, ONE]
    mean = [
        [(a + b) / 2 for a, b in zip(*rows, strict=True)]
        for rows in zip(*images, strict=True)
    ]
    outputs: list[Pixels] = images if alive else [mean, mean]
    with sheet.part(part, "data"):
        for i, image in enumerate(images):
            picture(sheet, 24, top + 30 + 57 * i, 49, "data", image)
        sheet.text(24, top + 16, part, anchor="start", bold=True)
    with sheet.part(part, "encoder"):
        sheet.arrow((78, middle), (94, middle))
        sheet.trapezoid(96, middle, 64, 100, 54, "encoder")
        sheet.text(128, middle + 5, "encoder", size=13)
    with sheet.part(part, "prior"):
        points = [(place(z), base - unit * gaussian(z)) for z in between(-3.2, 3.2)]
        sheet.curve(points, "prior", dash="dashed", down_to=base, width=4)
        sheet.text(place(2.4), base - 26, "$p(z)$")
    with sheet.part(part, "q"):
        for mu, sigma in posteriors:
            points = [
                (place(z), base - unit * gaussian(z, mu, sigma))
                for z in between(-3.2, 3.2, 160)
            ]
            sheet.curve(points, "encoder", width=2, down_to=base if alive else None)
        prices = " and ".join(f"{kl_to_prior(*q):.1f}" for q in posteriors)
        sheet.text(
            290,
            top + 16,
            "$q_{φ}(z | x)$ of both images"
            if alive
            else "both $q_{φ}(z | x)$ are the prior",
        )
        sheet.text(290, base + 22, f"KL to the prior: {prices if alive else 0} nats")
    sheet.curve([(170, base), (410, base)], width=1.5)
    with sheet.part(part, "decoder"):
        if alive:
            sheet.arrow((412, middle), (436, middle))
        else:
            sheet.curve(
                [(410, middle), (438, middle)], "broken", width=3, dash="dashed"
            )
            sheet.cross(424, middle, 8)
            sheet.text(424, middle + 76, "$z$ is ignored", size=13)
        sheet.trapezoid(442, middle, 64, 54, 100, "decoder")
        sheet.text(474, middle + 5, "decoder", size=13)
    with sheet.part(part, "output"):
        sheet.arrow((509, middle), (530, middle), role="decoder")
        for i, image in enumerate(outputs):
            picture(sheet, 534, top + 30 + 57 * i, 49, "decoder", image)
        sheet.text(559, top + 16, "each its own" if alive else "the mean, twice")


def hole(sheet: Sheet) -> None:
    """The codes of all images together, against the prior."""
    sheet.begin(
        330,
        "A hole: the prior draws where no code lies",
        """Draws of the prior can fall where no image has its code. What the decoder makes of
        them was never trained.""",
        """The aggregate posterior, the mean of six narrow bells q, has two hills and a valley at 0.
        The dashed prior is highest in the valley.""",
    )
    means, sigma = (-1.7, -1.2, -0.95, 0.8, 1.15, 1.6), 0.24
    place, base, unit = scale(-3.2, 3.2, 30, 610), 262, 310
    grid = between(-3.2, 3.2, 160)
    share = 1 / len(means)
    with sheet.part("q"):
        for mean in means:
            points = [
                (place(z), base - unit * share * gaussian(z, mean, sigma)) for z in grid
            ]
            sheet.curve(points, "encoder", width=1)
    with sheet.part("aggregate"):
        total = [share * sum(gaussian(z, mean, sigma) for mean in means) for z in grid]
        points = [(place(z), base - unit * v) for z, v in zip(grid, total, strict=True)]
        sheet.curve(points, "encoder", width=3.5, down_to=base)
        sheet.lines(120, 88, "aggregate posterior:", "the mean of all $q_{φ}(z | x)$")
    with sheet.part("prior"):
        points = [(place(z), base - unit * gaussian(z)) for z in grid]
        sheet.curve(points, "prior", dash="dashed", width=3)
        sheet.text(place(0), 124, "prior $p(z)$")
    with sheet.part("hole"):
        left, right = place(-0.45), place(0.3)
        sheet.curve(
            [
                (left, base + 8),
                (left, base + 16),
                (right, base + 16),
                (right, base + 8),
            ],
            "ink",
        )
        sheet.text(
            (left + right) / 2,
            base + 38,
            "hole: many draws of the prior, no code of an image",
        )
    sheet.curve([(20, base), (620, base)], width=1.5)
    sheet.text(612, base + 20, "$z$", size=15)
