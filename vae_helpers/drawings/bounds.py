"""What is bounded: one image, one latent number, and log p(x) on a grid.

The model is the first one of lesson 03: z ~ N(0, 1), x | z ~ N(2 tanh z, SIGMA_X^2).
"""

import math

from vae_helpers.drawings.svg import Point, Sheet, between, gaussian, scale

X_SEEN, SIGMA_X = 1.5, 0.5
STEP = 0.01
GRID = [STEP * i for i in range(-600, 601)]
PRIOR = [gaussian(z) for z in GRID]
LIKELIHOOD = [gaussian(X_SEEN, 2 * math.tanh(z), SIGMA_X) for z in GRID]
JOINT = [a * b for a, b in zip(PRIOR, LIKELIHOOD, strict=True)]
EVIDENCE = STEP * sum(JOINT)
POSTERIOR = [value / EVIDENCE for value in JOINT]


def terms(mu: float, sigma: float) -> tuple[float, float, float]:
    """For q = N(mu, sigma^2), in nats: reconstruction, KL to the prior, KL to the posterior."""
    totals = [0.0, 0.0, 0.0]
    for z, prior, likelihood, posterior in zip(
        GRID, PRIOR, LIKELIHOOD, POSTERIOR, strict=True
    ):
        q = gaussian(z, mu, sigma)
        if q > 0:
            parts = (likelihood, q / prior, q / posterior)
            totals = [
                t + STEP * q * math.log(part)
                for t, part in zip(totals, parts, strict=True)
            ]
    return totals[0], totals[1], totals[2]


def _graph(
    values: list[float],
    across: tuple[float, float],
    base: float,
    height: float,
    low: float = -3,
    high: float = 3,
) -> list[Point]:
    """Values on GRID as a curve between two x; height is pixels for each unit."""
    place = scale(low, high, *across)
    return [
        (place(z), base - height * v)
        for z, v in list(zip(GRID, values, strict=True))[::5]
        if low <= z <= high
    ]


def two_kls(sheet: Sheet) -> None:
    """Prior, q and posterior on one axis, and log p(x) as one bar."""
    mu, sigma = 0.82, 0.34
    reconstruction, to_prior, to_posterior = terms(mu, sigma)
    sheet.begin(
        420,
        "Two KLs: one is a price, the other is the gap",
        """The KL from q to the prior is paid, and the KL from q to the true posterior is
        the gap. Reconstruction minus the first is the ELBO; the ELBO plus the second is log
        p(x). Three bells stand on one axis, a bar below adds the numbers.""",
    )
    across, base = (30, 610), 208
    q = [gaussian(z, mu, sigma) for z in GRID]
    with sheet.part("prior"):
        sheet.curve(
            _graph(PRIOR, across, base, 130), "prior", dash="dashed", down_to=base
        )
        sheet.text(162, 146, "prior $p(z)$")
    with sheet.part("posterior"):
        points = _graph(POSTERIOR, across, base, 130)
        sheet.curve(points, "posterior", down_to=base, width=3, dash="dotted")
        sheet.lines(510, 112, "true posterior", "$p_{θ}(z | x)$")
    with sheet.part("q"):
        sheet.curve(_graph(q, across, base, 130), "encoder", down_to=base)
        sheet.text(354, 80, "$q(z | x)$", anchor="end", size=15)
    sheet.curve([(20, base), (620, base)], width=1.5)
    sheet.text(612, base + 20, "$z$", size=15)
    elbo, evidence = reconstruction - to_prior, math.log(EVIDENCE)
    at = scale(elbo, reconstruction, 250, 566)
    with sheet.part("prior"):
        y = 276
        sheet.arrow((at(reconstruction), y), (at(elbo), y), role="prior", dash="dashed")
        middle = (at(reconstruction) + at(elbo)) / 2
        sheet.text(middle, y - 10, f"− KL to the prior: {to_prior:.2f}")
        for value in (reconstruction, elbo):
            sheet.curve([(at(value), y - 6), (at(value), 300)], width=1, dash="dotted")
    with sheet.part("elbo"):
        sheet.box(40, 300, at(elbo) - 40, 40, "decoder", fill=0.3, radius=0)
        sheet.text((40 + at(elbo)) / 2, 325, f"ELBO {elbo:.2f}".replace("-", "−"))
    with sheet.part("posterior"):
        w = at(evidence) - at(elbo)
        sheet.box(at(elbo), 300, w, 40, "posterior", radius=0, hatch=True)
        sheet.arrow((at(elbo), 358), (at(evidence), 358), role="posterior")
        sheet.text(
            at(elbo) - 8,
            363,
            f"+ KL to the posterior: {to_posterior:.2f}",
            anchor="end",
        )
    sheet.curve([(at(evidence), 292), (at(evidence), 384)], width=3)
    sheet.text(at(evidence), 402, f"$log p_{{θ}}(x) = {_minus(evidence)}$", size=15)
    sheet.text(40, 402, "nats; the left end is cut off", size=12, anchor="start")
    x = at(reconstruction)
    sheet.curve([(x, 294), (x, 346)], width=1.5)
    sheet.lines(
        x, 362, "reconstruction", f"{_minus(reconstruction)} nats", anchor="middle"
    )


def _minus(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def staircase(sheet: Sheet) -> None:
    """Five guesses under one ceiling."""
    guesses = [(0.2, 0.9), (0.5, 0.8), (0.7, 0.7), (0.9, 0.62), (1.04, 0.5)]
    values = [terms(*guess) for guess in guesses]
    evidence = math.log(EVIDENCE)
    sheet.begin(
        400,
        "Better guesses climb to the same ceiling",
        """However good the guess q, ELBO plus KL to the posterior is log p(x). Five
        guesses from bad to good stand as columns; the solid ELBO grows, and the hatched KL up to
        the ceiling shrinks by as much.""",
    )
    floor = math.floor(min(a - b for a, b, _ in values)) - 1
    at = scale(floor, evidence, 330, 96)
    for i, ((mu, sigma), (reconstruction, to_prior, gap)) in enumerate(
        zip(guesses, values, strict=True)
    ):
        x, elbo = 108 + 98 * i, reconstruction - to_prior
        with sheet.part("elbo"):
            sheet.box(x, at(elbo), 70, 330 - at(elbo), "decoder", fill=0.3, radius=0)
            sheet.text(x + 35, at(elbo) + 20, _minus(elbo))
        with sheet.part("gap"):
            h = at(elbo) - at(evidence)
            sheet.box(
                x, at(evidence), 70, h, "encoder", fill=0.05, radius=0, hatch=True
            )
            if h > 24:
                sheet.text(x + 35, at(evidence) + h / 2 + 5, f"{gap:.2f}", halo=True)
            else:
                sheet.text(x + 35, at(evidence) - 8, f"{gap:.2f}")
        sheet.lines(x + 35, 350, f"$μ$ {_minus(mu)}", f"$σ$ {sigma:.2f}", size=13)
    sheet.curve([(96, 96), (600, 96)], width=3)
    sheet.text(98, 76, f"$log p_{{θ}}(x)$ = {_minus(evidence)} nats", anchor="start")
    sheet.curve([(96, 330), (600, 330)], width=1.5)
    sheet.lines(50, 146, "KL to the", "posterior", size=13)
    sheet.lines(50, 290, "ELBO", "in nats", size=13)
    sheet.text(50, 350, "guess $q$", size=13)
    sheet.text(345, 391, f"all columns start at −{-floor} nats, not at 0", size=12)


def bayes(sheet: Sheet) -> None:
    """Prior times likelihood, and what its area is for."""
    sheet.begin(
        300,
        "Bayes' rule in four curves",
        """The posterior is prior times likelihood, divided by the area of the product.
        Prior and likelihood are multiplied at each z; the area below the product is p(x),
        and dividing by it gives a curve of area 1.""",
    )
    panels = [
        ("prior", "prior", PRIOR, "$p(z)$", "prior", "dashed"),
        ("likelihood", "decoder", LIKELIHOOD, "$p_{θ}(x | z)$", "likelihood", "solid"),
        ("joint", "ink", JOINT, "product", f"area $p_{{θ}}(x)$ = {EVIDENCE:.2f}", ""),
        (
            "posterior",
            "posterior",
            POSTERIOR,
            "$p_{θ}(z | x)$",
            "posterior, area 1",
            "dotted",
        ),
    ]
    for i, (part, role, values, name, words, dash) in enumerate(panels):
        left, base = 20 + 158 * i, 206
        with sheet.part(part):
            points = _graph(values, (left, left + 126), base, 112, -2.5, 3)
            fill = 0.35 if part == "joint" else 0.15
            sheet.curve(
                points, role, down_to=base, fill=fill, dash=dash or "solid", width=3
            )
            sheet.curve([(left, base), (left + 126, base)], width=1.5)
            sheet.text(left + 63, 80, name, size=15)
            sheet.text(left + 63, 232, words, size=13)
        if i < 3:
            sheet.text(
                left + 142, (150, 150, 122)[i], ["×", "=", "÷"][i], size=22, bold=True
            )
    sheet.text(478, 140, "area", size=13)
    sheet.text(478, 168, "=", size=22, bold=True)
    sheet.text(
        320, 274, f"one height scale; $x$ = {X_SEEN:g} was seen; $z$ runs to the right"
    )


def hole(sheet: Sheet) -> None:
    """The codes of all images together, against the prior."""
    sheet.begin(
        330,
        "A hole: the prior draws where no code lies",
        """Draws of the prior can fall where no image has its code. The aggregate posterior,
        the mean of all q, has two hills and a valley at 0; the dashed prior is highest
        there. What the decoder makes of the valley was never trained.""",
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
