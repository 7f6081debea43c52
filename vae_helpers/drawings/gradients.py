"""How a gradient reaches the parameters of a draw."""

from statistics import NormalDist

from vae_helpers.drawings.svg import Sheet, between, gaussian, scale


def _node(sheet: Sheet, x: float, y: float, words: str, role: str) -> None:
    sheet.circle(x, y, 23, role, fill=0.12)
    sheet.text(x, y + 5, words, size=15)


def cut_gradient(sheet: Sheet) -> None:
    """Two graphs: where the gradient stops, and where it passes."""
    sheet.begin(
        382,
        "Where does the gradient pass?",
        "A draw by sample() cuts the gradient; rsample() lets it through.",
        """Two graphs run from x over mu and sigma and a code z to the loss. In the first, z
        is drawn and the way back is closed. In the second, eps comes from the side, and z
        depends on mu and sigma by a formula, so that the gradient comes back.""",
    )
    with sheet.part("sample"):
        sheet.text(24, 66, "sample()", anchor="start", bold=True)
        sheet.text(24, 86, "$z$ is drawn", anchor="start")
        _forward(sheet, 118)
        _node(sheet, 350, 118, "$z$", "encoder")
        sheet.arrow((483, 158), (386, 158), width=3)
        sheet.curve([(330, 158), (206, 158)], "broken", width=3, dash="dashed")
        sheet.cross(352, 158, 10)
        sheet.text(268, 184, "cut: no gradient arrives")
        sheet.text(436, 184, "gradient")
    with sheet.part("rsample"):
        sheet.text(24, 232, "rsample()", anchor="start", bold=True)
        sheet.text(24, 252, "$z = μ + σ ε$", anchor="start", size=15)
        _forward(sheet, 292)
        _node(sheet, 350, 292, "$z$", "encoder")
        _node(sheet, 350, 226, "$ε$", "noise")
        sheet.arrow((350, 250), (350, 267), role="noise", dash="dashed")
        sheet.text(382, 231, "noise, from the side", anchor="start")
        sheet.arrow((483, 332), (206, 332), width=3)
        sheet.text(344, 358, "gradient: 1 times for $μ$, $ε$ times for $σ$")


def _forward(sheet: Sheet, y: float) -> None:
    """The way forward of both graphs, without its z."""
    _node(sheet, 40, y, "$x$", "data")
    sheet.arrow((65, y), (152, y))
    sheet.text(107, y - 8, "encoder", size=13)
    _node(sheet, 178, y, "$μ, σ$", "encoder")
    sheet.arrow((203, y), (324, y))
    sheet.arrow((375, y), (484, y))
    sheet.text(428, y - 8, "decoder", size=13)
    sheet.box(486, y - 23, 80, 46, "ink", fill=0.05)
    sheet.text(526, y + 5, "loss")


MU, DRAWS = 1.0, 6
# Six draws of N(MU, 1) that stand for all: the middles of six equally likely pieces.
CODES = [MU + NormalDist().inv_cdf((i + 0.5) / DRAWS) for i in range(DRAWS)]


def pathwise(z: float) -> float:
    """One estimate of d/dmu E[z^2]: the slope of the cost at the draw."""
    return 2 * z


def score_function(z: float) -> float:
    """One estimate of the same: the cost of the draw times its score, for sigma = 1."""
    return z**2 * (z - MU)


def moments(estimate) -> tuple[float, float]:
    """Mean and standard deviation of an estimate over N(MU, 1), on a grid of 0.01."""
    grid = between(MU - 9, MU + 9, 1800)
    weights = [0.01 * gaussian(z, MU) for z in grid]
    values = [estimate(z) for z in grid]
    mean = sum(w * v for w, v in zip(weights, values, strict=True))
    square = sum(w * v * v for w, v in zip(weights, values, strict=True))
    return mean, (square - mean**2) ** 0.5


def two_gradients(sheet: Sheet) -> None:
    """The same six draws, read in two ways."""
    (mean, calm), (_, wild) = moments(pathwise), moments(score_function)
    sheet.begin(
        430,
        "Two ways to a gradient, from the same draws",
        f"""Both estimates are right on average, but one draw strays by {calm:.1f} pathwise and
        by {wild:.1f} with the score function. The calmer one has to know the slope of the cost.""",
        f"""A parabola f(z) = z^2 stands over a bell around mu = {MU:g}, twice, with the same
        {DRAWS} draws. Left, each draw carries the slope of the curve. Right, each draw pulls mu by
        its cost times its score. Below, the estimates on one scale lie close to their mean on
        the left and far apart on the right.""",
    )
    panels = [
        (
            "pathwise",
            "pathwise: slope at the draw",
            "knows the slope $f ′(z)$",
            "thick: $f ′(z)$",
        ),
        (
            "score",
            "score function: cost × score",
            "knows only the cost $f(z)$",
            "arrow: $f(z) (z − μ)$",
        ),
    ]
    for i, (part, title, knows, legend) in enumerate(panels):
        left = 24 + 312 * i
        place, up = scale(-1.6, 3.6, left, left + 280), scale(0, 8, 262, 92)
        with sheet.part(part):
            sheet.text(left, 66, title, bold=True, anchor="start")
            sheet.text(left, 88, knows, anchor="start")
            sheet.text(left + 10, 112, legend, anchor="start", size=13)
            bell = [(place(z), 262 - 80 * gaussian(z, MU)) for z in between(-1.6, 3.6)]
            sheet.curve(bell, "encoder", down_to=262, width=1.5)
            curve = [(place(z), up(z * z)) for z in between(-1.6, 2.75)]
            sheet.curve(curve, width=1.5)
            sheet.curve([(left, 262), (left + 280, 262)], width=1.5)
            for z in CODES:
                x, y = place(z), up(z * z)
                if part == "pathwise":
                    sheet.curve([(x, 262), (x, y)], width=1, dash="dotted")
                    ends = [(place(z + d), up(z * z + 2 * z * d)) for d in (-0.3, 0.3)]
                    sheet.curve(ends, width=5)
                else:
                    sheet.box(x - 4, y, 8, 262 - y, fill=0.3, width=0, radius=0)
                    pull = 8 * score_function(z)
                    if abs(pull) > 10:
                        sheet.arrow((x, y), (x + pull, y), width=2.5)
                sheet.circle(x, 262, 5, "encoder")
            sheet.text(place(MU), 284, "$μ$", size=15)
            sheet.text(left + 274, 284, "$z$", size=15)
            estimate = score_function if i else pathwise
            _estimates(
                sheet, left, [estimate(z) for z in CODES], mean, wild if i else calm
            )


def _estimates(
    sheet: Sheet, left: float, values: list[float], mean: float, spread: float
) -> None:
    """The estimates of one panel, on an axis that is the same for both."""
    at = scale(-6, 10, left + 8, left + 272)
    width = at(mean + spread) - at(mean - spread)
    sheet.box(at(mean - spread), 314, width, 28, fill=0.12, width=0, radius=4)
    sheet.curve([(left, 328), (left + 280, 328)], width=1.5)
    sheet.curve([(at(mean), 308), (at(mean), 348)], width=2.5)
    for value in values:
        sheet.square(at(value), 328, 4, "ink", fill=0.4)
    for tick in (-5, 0, 5, 10):
        sheet.text(at(tick), 366, str(tick).replace("-", "−"), size=13)
    sheet.text(left + 140, 392, "six estimates of the gradient")
    sheet.text(left + 140, 412, f"mean {mean:.0f}, one draw strays by {spread:.1f}")
