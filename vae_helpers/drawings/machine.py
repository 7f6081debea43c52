"""The machine itself: what goes in, what comes out, and where a gradient passes."""

from vae_helpers.drawings.svg import Sheet, between, gaussian

# A digit of 7 by 7 pixels, 1 for ink.
_SEVEN = ["0000000", "0111110", "0000110", "0001100", "0011000", "0011000", "0000000"]


def digit(sheet: Sheet, x: float, y: float, side: float, role: str) -> None:
    """A small picture of a 7 in a frame; (x, y) is its upper left corner."""
    pixel = side / len(_SEVEN)
    sheet.box(x, y, side, side, role, fill=0.06, radius=2)
    for row, line in enumerate(_SEVEN):
        for column, value in enumerate(line):
            if value == "1":
                place = (x + column * pixel, y + row * pixel)
                sheet.box(*place, pixel, pixel, role, fill=0.85, width=0, radius=0)


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
    """The whole machine with its two prices."""
    sheet.begin(
        360,
        "A VAE: a code with a spread, and two prices",
        """The loss of a VAE adds two prices. The encoder turns an image into mu and log
        sigma squared; a code z is drawn with noise eps; the decoder turns it into logits.
        Reconstruction is paid at the output, the KL to the prior at the bell.""",
    )
    with sheet.part("data"):
        digit(sheet, 20, 105, 62, "data")
        sheet.text(51, 96, "image $x$")
        sheet.text(51, 186, "$(B, D)$", size=13)
    with sheet.part("encoder"):
        sheet.arrow((86, 136), (106, 136))
        sheet.trapezoid(108, 136, 84, 106, 62, "encoder")
        sheet.text(150, 141, "encoder")
        sheet.arrow((194, 120), (214, 104), role="encoder")
        sheet.arrow((194, 152), (214, 168), role="encoder")
        sheet.box(216, 86, 62, 30, "encoder")
        sheet.text(247, 106, "$μ$", size=16)
        sheet.box(216, 157, 62, 30, "encoder")
        sheet.text(247, 177, "$log σ^{2}$", size=15)
        sheet.text(247, 141, "$(B, Z)$ each", size=13)
    with sheet.part("posterior"):
        sheet.arrow((281, 101), (304, 112), role="encoder")
        sheet.arrow((281, 172), (304, 161), role="encoder")
        bell(sheet, 350, 166, 15, 72, "encoder")
        sheet.curve([(303, 166), (397, 166)], "ink", width=1.5)
        sheet.text(350, 82, "$q_{φ}(z | x)$", size=15)
        sheet.circle(360, 166, 5, "ink")
        sheet.text(342, 190, "$z = μ + σ ε$", size=15)
    with sheet.part("noise"):
        sheet.arrow((352, 238), (352, 199), role="noise", dash="dashed")
        sheet.circle(352, 253, 15, "noise", fill=0.15)
        sheet.text(352, 258, "$ε$", size=16)
        sheet.text(330, 258, "noise $N(0, I)$", size=13, anchor="end")
    with sheet.part("decoder"):
        sheet.arrow((400, 136), (424, 136))
        sheet.trapezoid(426, 136, 84, 62, 106, "decoder")
        sheet.text(468, 141, "decoder")
        sheet.arrow((512, 136), (536, 136), role="decoder")
        digit(sheet, 540, 105, 62, "decoder")
        sheet.text(571, 96, "picture")
        sheet.text(571, 186, "logits $(B, D)$", size=13)
    with sheet.part("loss"):
        sheet.curve([(571, 192), (571, 284)], "ink", width=1.5, dash="dotted")
        sheet.curve([(394, 172), (394, 284)], width=1.5, dash="dotted")
        sheet.box(430, 284, 194, 56, "ink", fill=0.05)
        sheet.lines(527, 308, "reconstruction, nats", "$−log p_{θ}(x | z)$")
        sheet.box(206, 284, 200, 56, "ink", fill=0.05)
        sheet.lines(306, 308, "KL to the prior, nats", "$KL(q_{φ} ‖ p)$")
        sheet.text(418, 317, "+", bold=True)
        sheet.box(20, 284, 166, 56, "ink", fill=0.05)
        sheet.lines(103, 308, "the loss, nats", "$−$ELBO")
        sheet.text(196, 317, "=", bold=True)


def bottleneck(sheet: Sheet) -> None:
    """An autoencoder: everything passes through Z numbers."""
    sheet.begin(
        250,
        "An autoencoder: everything passes through the code",
        """What does not fit into the code is lost. The encoder squeezes the D pixels of an
        image into Z numbers, and the decoder restores D pixels from those Z numbers alone;
        the squared error compares both images.""",
    )
    with sheet.part("data"):
        digit(sheet, 24, 92, 74, "data")
        sheet.text(61, 82, "image $x$")
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
        digit(sheet, 542, 92, 74, "decoder")
        sheet.text(579, 82, "restored")
        sheet.text(579, 186, "$D$ pixels", size=13)
    with sheet.part("loss"):
        sheet.curve([(61, 194), (61, 222), (202, 222)], width=1.5, dash="dotted")
        sheet.curve([(579, 194), (579, 222), (438, 222)], width=1.5, dash="dotted")
        sheet.box(202, 206, 236, 32, "ink", fill=0.05)
        sheet.text(320, 227, "squared error of each pixel")


def _node(sheet: Sheet, x: float, y: float, words: str, role: str) -> None:
    sheet.circle(x, y, 23, role, fill=0.12)
    sheet.text(x, y + 5, words, size=15)


def cut_gradient(sheet: Sheet) -> None:
    """Two graphs: where the gradient stops, and where it passes."""
    sheet.begin(
        390,
        "Where does the gradient pass?",
        """A draw by sample() cuts the gradient, and rsample() lets it through. In the first
        graph z is drawn from the bell and the way back to mu and sigma is closed. In the
        second, eps comes from the side, and z depends on mu and sigma by a formula.""",
    )
    with sheet.part("sample"):
        sheet.text(24, 66, "sample()", anchor="start", bold=True)
        sheet.text(24, 86, "$z$ is drawn", anchor="start")
        _forward(sheet, 118)
        _node(sheet, 350, 118, "$z$", "encoder")
        sheet.arrow((483, 158), (386, 158), role="broken", width=3)
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
        sheet.arrow((483, 332), (206, 332), role="broken", width=3)
        sheet.lines(344, 356, "gradient, factors 1 for $μ$ and $ε$ for $σ$")


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


def which_code(sheet: Sheet) -> None:
    """Three codes, and the job of each."""
    sheet.begin(
        330,
        "Which code for which job?",
        """Each job needs one code. The mean of q describes or restores a given image. A
        sample of q shows what the image leaves open, and belongs into the ELBO. A draw from
        the prior makes a new image that starts from no other.""",
    )
    columns = [
        ("mean", "the mean $μ$", "encoder", "restore an image,", "compare two images"),
        ("sample", "a sample of $q$", "encoder", "train, compute the ELBO,", ""),
        ("prior", "a draw of the prior", "prior", "make a new image", ""),
    ]
    sheet.text(214, 62, "start from an image", bold=True)
    sheet.text(530, 62, "start from nothing", bold=True)
    sheet.curve([(424, 50), (424, 312)], "ink", width=1, dash="dotted")
    for (part, name, role, first, second), x in zip(
        columns, [112, 316, 530], strict=True
    ):
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
            second = second or (
                "show what is left open" if part == "sample" else "sample the model"
            )
            sheet.box(x - 96, 238, 192, 62, role, fill=0.08, dash=dash)
            sheet.lines(x, 264, first, second)
