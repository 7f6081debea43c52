"""The way through the course."""

from vae_helpers.drawings.svg import Sheet

LESSONS = {
    "00": ("Start here", ""),
    "01": ("Autoencoder", "squeeze and restore"),
    "02": ("Reparameterization", "gradient of a sample"),
    "03": ("The ELBO", "what to maximise"),
    "04": ("A VAE in PyTorch", "build it, train it"),
    "05": ("beta-VAE", "the price of a code"),
    "06": ("Denoising", "back to clean images"),
    "07": ("Anomaly detection", "what is strange?"),
}


def map(sheet: Sheet) -> None:
    """The lessons and what builds on what."""
    sheet.begin(
        340,
        "Three ideas make a VAE, three lessons use it",
        """Lessons 01, 02 and 03 can be read one by one and meet in lesson 04. Lesson 00
        comes first. The autoencoder, the gradient of a sample and the ELBO make the VAE;
        beta-VAE, denoising and anomaly detection in 05, 06 and 07 build on it.""",
    )
    rows = (62, 150, 238)
    places = {"00": (16, rows[1], 80), "04": (308, rows[1], 136)}
    places |= {n: (122, y, 158) for n, y in zip(("01", "02", "03"), rows, strict=True)}
    places |= {n: (472, y, 152) for n, y in zip(("05", "06", "07"), rows, strict=True)}
    height, half = 72, 36
    roles = {"01": "encoder", "02": "noise", "03": "posterior"}
    for end in ("01", "02", "03", "05", "06", "07"):
        start = "00" if end < "04" else "04"
        (x, y, w), (u, v, _) = places[start], places[end]
        sheet.arrow((x + w + 3, y + half), (u - 3, v + half))
        if end < "04":
            (x, y, w), (u, v, _) = places[end], places["04"]
            sheet.arrow((x + w + 3, y + half), (u - 3, v + half + (y - v) / 5))
    for name, (words, more) in LESSONS.items():
        x, y, w = places[name]
        with sheet.part(name):
            sheet.box(
                x,
                y,
                w,
                height,
                roles.get(name, "ink"),
                width=3 if name == "04" else 2,
            )
            sheet.text(x + w / 2, y + 22, name, bold=True)
            sheet.text(x + w / 2, y + 42, words, size=14)
            if more:
                sheet.text(x + w / 2, y + 60, more, size=12)
