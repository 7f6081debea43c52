"""What the weight on the KL buys, and where it hides."""

import math

from vae_helpers.drawings.svg import Sheet, scale

EIGENVALUES = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25)
SIGMA2_X = 0.2  # variance of the decoder, fixed
BETAS = (1, 4, 16)


def water(sheet: Sheet) -> None:
    """Reverse water-filling: six variances and three levels."""
    sheet.begin(
        350,
        "Water-filling: what lies below the level is not told",
        """The larger beta, the more axes drown. What stands above the water is told by the
        code, the rest stays as error.""",
        """Six bars, the variances of a linear model on a logarithmic axis, stand in water of
        height beta times the decoder's variance, in three panels. Bars that are all below the
        water are collapsed.""",
    )
    floor = 0.1
    at = scale(math.log(floor), math.log(10), 268, 92)
    for i, beta in enumerate(BETAS):
        level, left = beta * SIGMA2_X, 62 + 196 * i
        with sheet.part(f"beta_{beta}"):
            water_top = at(math.log(level))
            for j, value in enumerate(EIGENVALUES):
                top, x = at(math.log(value)), left + 8 + 28 * j
                under = max(top, water_top)
                sheet.box(x, under, 20, 268 - under, "prior", fill=0.3, radius=0)
                if value > level:
                    h = water_top - top
                    sheet.box(x, top, 20, h, "encoder", radius=0, hatch=True)
            sheet.curve([(left, water_top), (left + 178, water_top)], dash="dashed")
            sheet.curve([(left, 268), (left + 178, 268)], width=1.5)
            rate = sum(0.5 * math.log(v / level) for v in EIGENVALUES if v > level)
            active = sum(v > level for v in EIGENVALUES)
            sheet.text(left + 89, 64, f"$β$ = {beta}, level {level:g}", bold=True)
            sheet.text(left + 89, 290, f"{active} active, {rate:.2f} nats told")
    for value in (0.1, 1, 10):
        y = at(math.log(value))
        sheet.curve([(54, y), (60, y)], width=1.5)
        sheet.text(50, y + 5, f"{value:g}", size=13, anchor="end")
    sheet.curve([(60, 92), (60, 268)], width=1.5)
    sheet.text(20, 82, "variance", size=13, anchor="start")
    sheet.box(70, 312, 18, 18, "encoder", radius=0, hatch=True)
    sheet.text(96, 326, "told by the code", anchor="start", size=13)
    sheet.box(236, 312, 18, 18, "prior", fill=0.3, radius=0)
    sheet.text(262, 326, "left as error", anchor="start", size=13)
    sheet.curve([(386, 321), (416, 321)], dash="dashed")
    sheet.text(424, 326, "level $β σ_{x}^{2}$", anchor="start", size=13)


def hidden_beta(sheet: Sheet) -> None:
    """Reductions of the two terms, and the beta that each one means."""
    d, z = 784, 20
    rows = [
        ("pixels mean, latents sum", "D", d),
        ("pixels mean, latents mean", "D/Z", d / z),
        ("pixels sum, latents sum", "1", 1),
        ("pixels: squares without the half", "1/2", 0.5),
        ("pixels sum, latents mean", "1/Z", 1 / z),
    ]
    sheet.begin(
        350,
        "The hidden beta: a mean is a weight",
        """A mean in the place of a sum is a weight on the KL that nobody wrote down.""",
        f"""Five ways to reduce the two terms stand on a logarithmic axis of beta. Only sums over
        pixels and over latents give beta 1; the others give between {1 / z:g} and {d}, for D = {d}
        pixels and Z = {z} latents.""",
    )
    at = scale(math.log(0.02), math.log(2000), 268, 600)
    one = at(0.0)
    sheet.box(one - 15, 62, 30, 222, fill=0.1, width=0, radius=4)
    for i, (words, formula, beta) in enumerate(rows):
        y, x = 86 + 44 * i, at(math.log(beta))
        exact = beta == 1
        with sheet.part("exact" if exact else "broken"):
            sheet.text(246, y + 5, words, anchor="end")
            role = "ink" if exact else "broken"
            if exact:
                sheet.circle(x, y, 8, role)
            else:
                dash = "dashed"
                sheet.arrow(
                    (one, y), (x + (10 if x < one else -10), y), role=role, dash=dash
                )
                sheet.cross(x, y, 7)
            name = f"${formula}$ = {beta:.3g}" if formula != "1" else "1, the ELBO"
            right = x < 530
            if beta < 1:
                sheet.text(one + 22, y + 5, name, anchor="start")
            else:
                sheet.text(
                    x + (16 if right else -16),
                    y + (5 if right else -9),
                    name,
                    anchor="start" if right else "end",
                )
    sheet.curve([(258, 288), (610, 288)], width=1.5)
    for value in (0.1, 1, 10, 100, 1000):
        x = at(math.log(value))
        sheet.curve([(x, 284), (x, 292)], width=1.5)
        sheet.text(x, 310, f"{value:g}", size=13)
    sheet.text(434, 334, "$β$ that the code really uses (logarithmic)", size=13)
    sheet.text(20, 334, f"$D$ = {d}, $Z$ = {z}", size=13, anchor="start")
    sheet.cross(28, 306, 7)
    sheet.text(42, 311, "broken: not the ELBO", size=13, anchor="start")
