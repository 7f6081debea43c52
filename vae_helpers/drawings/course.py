"""The way through the course, and the way through one step of training."""

import math

from vae_helpers.drawings.svg import Point, Sheet

LESSONS = {
    "00": ("Start here", ""),
    "01": ("Autoencoder", "squeeze and restore"),
    "02": ("Reparameterization", "gradient of a sample"),
    "03": ("The ELBO", "what to maximise"),
    "04": ("A VAE in PyTorch", "build it, train it"),
    "05": ("beta-VAE", "the price of a code"),
    "06": ("Denoising", "back to clean images"),
    "07": ("Anomaly detection", "what is strange?"),
    "A1": ("The exact case", "all by formula"),
}


def map(sheet: Sheet) -> None:
    """The lessons and what builds on what."""
    sheet.begin(
        348,
        "Three ideas make a VAE, three lessons use it",
        """Lessons 01, 02 and 03 meet in 04, and 05, 06 and 07 build on that in any order. No
        lesson needs the appendix A1.""",
        """Boxes with arrows: 00 leads to 01, 02 and 03, an autoencoder, the gradient of a sample and
        the ELBO. Those lead to 04, a VAE in PyTorch, and 04 leads to 05, 06 and 07, beta-VAE,
        denoising and anomaly detection. A dashed arrow leads from 03 to A1, the exact case.""",
    )
    rows = (56, 150, 244)
    places = {"00": (16, rows[1], 80), "04": (308, rows[1], 136)}
    places |= {n: (122, y, 158) for n, y in zip(("01", "02", "03"), rows, strict=True)}
    places |= {n: (472, y, 152) for n, y in zip(("05", "06", "07"), rows, strict=True)}
    places["A1"] = (308, rows[2], 136)
    height, half = 72, 36
    roles = {"01": "encoder", "02": "noise", "03": "posterior"}
    for end in ("01", "02", "03", "05", "06", "07"):
        start = "00" if end < "04" else "04"
        (x, y, w), (u, v, _) = places[start], places[end]
        with sheet.part(start, end):
            sheet.arrow((x + w + 3, y + half), (u - 3, v + half))
        if end < "04":
            (x, y, w), (u, v, _) = places[end], places["04"]
            with sheet.part(end, "04"):
                sheet.arrow((x + w + 3, y + half), (u - 3, v + half + (y - v) / 5))
    with sheet.part("03", "A1"):
        x, y, w = places["03"]
        ends = (x + w + 3, y + half + 14), (places["A1"][0] - 3, y + half + 14)
        sheet.arrow(*ends, dash="dashed")
    for name, (words, more) in LESSONS.items():
        x, y, w = places[name]
        with sheet.part(name):
            width, dash = (
                3 if name == "04" else 2,
                "dashed" if name == "A1" else "solid",
            )
            sheet.box(x, y, w, height, roles.get(name, "ink"), width=width, dash=dash)
            sheet.text(x + w / 2, y + 22, name, bold=True)
            sheet.text(x + w / 2, y + 42, words, size=14)
            if more:
                sheet.text(x + w / 2, y + 60, more, size=12)


STATIONS = [
    ("batch", "data", "batch", "images $x$"),
    ("encoder", "encoder", "encoder", "$μ$ and $log σ^{2}$"),
    ("draw", "noise", "draw", "$z = μ + σ ε$"),
    ("decoder", "decoder", "decoder", "logits"),
    ("loss", "ink", "loss", "mean of $−$ELBO"),
    ("zero_grad", "ink", "zero_grad()", "old gradients away"),
    ("backward", "ink", "backward()", "a gradient per weight"),
    ("step", "ink", "step()", "the weights move"),
]


def training_loop(sheet: Sheet) -> None:
    """One step of training as a ring."""
    sheet.begin(
        420,
        "One step of training, again and again",
        """Four stations make the loss and three more move the weights. A wrong order raises no
        error, so learn this one.""",
        """Eight boxes in a ring, clockwise, numbered: batch, encoder, draw, decoder, loss, then
        zero_grad, backward and step, and on to the next batch. Values flow along the upper half,
        gradients belong to the lower half.""",
    )
    w, h, middle, down = 142, 52, 320, 228
    places = []
    for i in range(len(STATIONS)):
        angle = math.pi * (i / 4 - 7 / 8)
        places.append((middle + 250 * math.cos(angle), down + 150 * math.sin(angle)))
    for i, (part, role, name, gives) in enumerate(STATIONS):
        x, y = places[i]
        following = places[(i + 1) % len(places)]
        with sheet.part(part):
            dash = "dashed" if part in ("zero_grad", "backward") else "solid"
            sheet.arrow(
                _edge((x, y), following, w + 8, h + 8),
                _edge(following, (x, y), w + 8, h + 8),
                dash=dash,
            )
            fill = 0.05 if role == "ink" else 0.12
            sheet.box(x - w / 2, y - h / 2, w, h, role, fill=fill)
            sheet.text(x, y - 4, f"{i + 1}. {name}", bold=True)
            sheet.text(x, y + 16, gives, size=13)
    sheet.text(middle, down - 26, "forward: values")
    sheet.text(middle, down + 5, "one step", bold=True, size=16)
    sheet.text(middle, down + 36, "backward: gradients")


def _edge(start: Point, end: Point, w: float, h: float) -> Point:
    """Where the line from the middle of a box to another point leaves the box."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    reach = min(
        w / 2 / abs(dx) if dx else math.inf, h / 2 / abs(dy) if dy else math.inf
    )
    return start[0] + reach * dx, start[1] + reach * dy
