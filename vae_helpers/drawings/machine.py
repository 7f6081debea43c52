"""The machine itself: what goes in, what comes out, and what is paid."""

from vae_helpers.drawings.svg import Sheet, between, gaussian

Pixels = list[list[float]]  # rows of a picture, 1 for ink


def _pixels(*lines: str) -> Pixels:
    return [[float(c) for c in line] for line in lines]


# Digits of 7 by 7 pixels.
SEVEN = _pixels(
    "0000000", "0111110", "0000110", "0001100", "0011000", "0011000", "0000000"
)
ONE = _pixels(
    "0000000", "0001100", "0011100", "0001100", "0001100", "0001100", "0000000"
)


def picture(
    sheet: Sheet, x: float, y: float, side: float, role: str, pixels: Pixels = SEVEN
) -> None:
    """A small picture in a frame; (x, y) is its upper left corner."""
    step = side / len(pixels)
    sheet.box(x, y, side, side, role, fill=0.06, radius=2)
    for i, line in enumerate(pixels):
        for j, ink in enumerate(line):
            if ink:
                place = (x + j * step, y + i * step)
                fill = 0.85 * ink
                sheet.box(*place, step, step, role, fill=fill, width=0, radius=0)


def bell(
    sheet: Sheet,
    x: float,
    base: float,
    spread: float,
    height: float,
    role: str,
    dash: str = "solid",
) -> None:
    """A Gaussian of a given height in pixels over a base line; spread is its sigma."""
    top = gaussian(0)
    points = [
        (x + t * spread, base - height * gaussian(t) / top) for t in between(-3, 3, 60)
    ]
    sheet.curve(points, role, down_to=base, dash=dash)


def vae(sheet: Sheet) -> None:
    """The whole machine, with shapes at the arrows and its two prices."""
    sheet.begin(
        384,
        "A VAE: a code with a spread, and two prices",
        """A VAE pays twice: for pixels that the decoder gets wrong, and for each code that
        leaves the prior. The loss is the sum.""",
        """From left to right: an image x of shape (B, D), the encoder, mu and log sigma squared of
        shape (B, Z), the bell q(z | x) over the prior, a code z drawn with noise eps, the decoder,
        and logits of shape (B, D). Reconstruction is paid at the output, the KL to the prior at
        the bell.""",
    )
    y = 164
    with sheet.part("data"):
        picture(sheet, 20, y - 28, 56, "data")
        sheet.text(48, y - 38, "image $x$")
        sheet.arrow((80, y), (118, y))
        sheet.text(98, y + 44, "$(B, D)$", size=13)
    with sheet.part("encoder"):
        sheet.trapezoid(121, y, 68, 110, 62, "encoder")
        sheet.text(155, y + 5, "encoder")
        for up in (-36, 36):
            sheet.arrow((192, y + up / 3), (211, y + up * 0.85), role="encoder")
            sheet.box(214, y + up - 15, 58, 30, "encoder")
        sheet.text(243, y - 31, "$μ$", size=16)
        sheet.text(243, y + 41, "$log σ^{2}$", size=15)
        sheet.text(243, y + 5, "$(B, Z)$ each", size=13)
    with sheet.part("prior"):
        bell(sheet, 334, y + 26, 17, 34, "prior", "dashed")
        sheet.text(304, y - 16, "$p(z)$")
    with sheet.part("q"):
        bell(sheet, 348, y + 26, 8, 72, "encoder")
        sheet.curve([(282, y + 26), (388, y + 26)], width=1.5)
        sheet.text(344, y - 56, "$q_{φ}(z | x)$", size=15)
    with sheet.part("code"):
        sheet.arrow((374, y), (397, y))
        sheet.circle(414, y, 15, "encoder", fill=0.12)
        sheet.text(414, y + 5, "$z$", size=16)
        sheet.arrow((431, y), (465, y))
        sheet.text(438, y - 24, "$(B, Z)$", size=13)
        sheet.text(402, y + 52, "$z = μ + σ ε$", size=15, anchor="end")
    with sheet.part("noise"):
        sheet.arrow((414, y + 69), (414, y + 18), role="noise", dash="dashed")
        sheet.circle(414, y + 86, 15, "noise", fill=0.15)
        sheet.text(414, y + 91, "$ε$", size=16)
        sheet.text(436, y + 91, "noise $N(0, I)$", size=13, anchor="start")
    with sheet.part("decoder"):
        sheet.trapezoid(468, y, 68, 62, 110, "decoder")
        sheet.text(502, y + 5, "decoder")
    with sheet.part("output"):
        sheet.arrow((539, y), (563, y), role="decoder")
        picture(sheet, 566, y - 28, 56, "decoder")
        sheet.text(594, y - 38, "picture")
        sheet.text(592, y + 44, "logits $(B, D)$", size=13)
    with sheet.part("reconstruction", "loss"):
        sheet.curve(
            [(48, y - 56), (48, 74), (594, 74), (594, y - 56)], width=1.5, dash="dotted"
        )
        sheet.text(320, 79, "compared with the picture", size=13, halo=True)
        sheet.arrow((594, y + 56), (594, 304), width=1.5, dash="dotted")
        sheet.box(438, 306, 186, 58, fill=0.05)
        sheet.lines(531, 330, "reconstruction, nats", "$−log p_{θ}(x | z)$")
    with sheet.part("kl", "loss"):
        sheet.arrow((300, y + 34), (300, 304), width=1.5, dash="dotted")
        sheet.box(222, 306, 186, 58, fill=0.05)
        sheet.lines(315, 330, "KL to the prior, nats", "$KL(q_{φ} ‖ p)$")
    with sheet.part("loss"):
        sheet.box(20, 306, 172, 58, fill=0.05, width=3)
        sheet.lines(106, 330, "the loss, nats", "$−$ELBO")
        sheet.text(207, 340, "=", bold=True)
        sheet.text(423, 340, "+", bold=True)


def bottleneck(sheet: Sheet) -> None:
    """An autoencoder: everything passes through Z numbers."""
    sheet.begin(
        250,
        "An autoencoder: everything passes through the code",
        "What does not fit into the code is lost: the decoder sees nothing else.",
        """The encoder squeezes the D pixels of an image into Z numbers, and the decoder restores
        D pixels from them; the squared error compares both images.""",
    )
    with sheet.part("data"):
        picture(sheet, 26, 94, 70, "data")
        sheet.text(61, 84, "image $x$")
        sheet.text(61, 186, "$D$ pixels", size=13)
    with sheet.part("encoder"):
        sheet.arrow((102, 129), (124, 129))
        sheet.trapezoid(126, 129, 130, 130, 46, "encoder")
        sheet.text(185, 134, "encoder")
    with sheet.part("code"):
        for i in range(3):
            sheet.box(291, 106 + 16 * i, 58, 15, "encoder", fill=0.3, radius=2)
        sheet.arrow((259, 129), (286, 129))
        sheet.text(320, 82, "code $z$")
        sheet.text(320, 186, "$Z$ numbers", size=13)
    with sheet.part("decoder"):
        sheet.arrow((353, 129), (381, 129))
        sheet.trapezoid(384, 129, 130, 46, 130, "decoder")
        sheet.text(455, 134, "decoder")
        sheet.arrow((517, 129), (538, 129), role="decoder")
        picture(sheet, 544, 94, 70, "decoder")
        sheet.text(579, 84, "restored")
        sheet.text(579, 186, "$D$ pixels", size=13)
    with sheet.part("loss"):
        sheet.curve([(61, 194), (61, 222), (202, 222)], width=1.5, dash="dotted")
        sheet.curve([(579, 194), (579, 222), (438, 222)], width=1.5, dash="dotted")
        sheet.box(202, 206, 236, 32, "ink", fill=0.05)
        sheet.text(320, 227, "squared error of each pixel")


def which_code(sheet: Sheet) -> None:
    """Three codes, and the job of each."""
    sheet.begin(
        330,
        "Which code for which job?",
        "Restore with the mean, train with a sample, make new images from the prior.",
        """Two bells q(z | x) start from an image: on the first the mean is marked, on the second
        four samples, which show what the image leaves open. The third bell is the prior with four
        draws; it starts from no image.""",
    )
    columns = [
        ("mean", "the mean $μ$", "encoder", "restore an image,", "compare two images"),
        (
            "sample",
            "a sample of $q$",
            "encoder",
            "train, compute the ELBO,",
            "show what is left open",
        ),
        (
            "prior",
            "a draw of the prior",
            "prior",
            "make a new image,",
            "sample the model",
        ),
    ]
    sheet.text(214, 62, "start from an image", bold=True)
    sheet.text(530, 62, "start from nothing", bold=True)
    sheet.curve([(424, 50), (424, 312)], "ink", width=1, dash="dotted")
    for (part, name, role, *jobs), x in zip(columns, [112, 316, 530], strict=True):
        with sheet.part(part):
            dash = "dashed" if part == "prior" else "solid"
            bell(sheet, x, 190, 30, 92, role, dash)
            sheet.curve([(x - 94, 190), (x + 94, 190)], width=1.5)
            if part == "mean":
                sheet.curve([(x, 98), (x, 190)], role, dash="dotted")
                sheet.circle(x, 190, 6, "ink")
            else:
                for t in (-1.2, -0.3, 0.4, 1.5):
                    sheet.square(x + 30 * t, 190, 4.5, "ink", fill=0.9)
            sheet.text(x, 88, "$p(z)$" if part == "prior" else "$q_{φ}(z | x)$")
            sheet.text(x, 222, name, bold=True)
            sheet.box(x - 96, 238, 192, 62, role, fill=0.08, dash=dash)
            sheet.lines(x, 264, *jobs)
