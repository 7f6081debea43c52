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
        """The KL to the prior is paid in the loss; the KL to the true posterior is the gap, as
        intractable as log p(x).""",
        """Three bells stand on one axis, the prior, q and the true posterior, and a bar below adds
        the numbers. Reconstruction minus the first KL is the ELBO; the ELBO plus the second is
        log p(x).""",
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
        """ELBO and KL to the true posterior always add up to log p(x): a better guess moves the
        border, not the ceiling.""",
        """Five guesses from bad to good stand as columns under one line. The solid ELBO grows, and
        the hatched KL up to the ceiling shrinks by as much.""",
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
        """The posterior is prior times likelihood, divided by the area of the product. That area
        is p(x), the number that is hard to get.""",
        """Four curves in a row. Prior and likelihood are multiplied at each z; the area below the
        product is shaded, and dividing by it gives a curve of area 1.""",
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


def jensen(sheet: Sheet) -> None:
    """Two numbers, their mean, and what the logarithm takes from it."""
    low, high = 0.25, 4.15
    middle = (low + high) / 2
    top, chord = math.log(middle), (math.log(low) + math.log(high)) / 2
    sheet.begin(
        370,
        "Jensen: the log of a mean lies above the mean of the logs",
        """The log of a mean is at least the mean of the logs, because the curve bends down. The
        gap is what the ELBO loses.""",
        """On the curve of the logarithm stand two points, equally likely ratios w of p(x, z) to
        q(z | x). Their chord lies below the curve. Over their mean, the curve is at log p(x), the
        chord at the ELBO, and the piece between is the gap.""",
    )
    place, up = scale(0, 4.9, 56, 470), scale(-1.7, 1.7, 310, 66)
    with sheet.part("curve"):
        line = [(place(w), up(math.log(w))) for w in between(0.19, 4.8)]
        sheet.curve(line, width=3)
        sheet.text(
            place(4.8) + 10, up(math.log(4.8)) + 5, "$log w$", anchor="start", size=15
        )
    with sheet.part("draws"):
        ends = [(place(w), up(math.log(w))) for w in (low, high)]
        sheet.curve(ends, "encoder", width=2, dash="dashed")
        for i, (x, y) in enumerate(ends):
            sheet.curve([(x, y), (x, 310)], width=1, dash="dotted")
            sheet.circle(x, y, 6, "encoder")
            sheet.text(x, 332, f"$w_{{{i + 1}}}$", size=15)
    x = place(middle)
    with sheet.part("mean"):
        sheet.curve([(x, up(chord)), (x, 310)], width=1, dash="dotted")
        sheet.text(x, 332, "mean of $w$")
        sheet.circle(x, up(top), 6, "ink")
        sheet.text(
            x - 12, up(top) - 12, "log of the mean: $log p_{θ}(x)$", anchor="end"
        )
    with sheet.part("elbo"):
        sheet.square(x, up(chord), 6, "decoder")
        sheet.lines(
            x + 18, up(chord) + 26, "mean of the logs:", "the ELBO", anchor="start"
        )
    with sheet.part("gap"):
        sheet.arrow(
            (x, up(chord) - 8), (x, up(top) + 8), role="posterior", width=3, both=True
        )
        y = (up(top) + up(chord)) / 2
        sheet.curve([(x + 10, y), (486, y)], width=1, dash="dotted")
        sheet.lines(
            492, y - 4, "the gap:", "KL to the", "true posterior", anchor="start"
        )
    sheet.curve([(40, 310), (480, 310)], width=1.5)
    sheet.lines(
        492,
        306,
        "$w = p_{θ}(x, z) / q(z | x)$,",
        "$z$ drawn from $q$",
        anchor="start",
        size=13,
    )
