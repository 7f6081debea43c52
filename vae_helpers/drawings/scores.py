"""Scores of strange images: a curve, a threshold, and what it may be chosen on."""

import math

from vae_helpers.drawings.svg import Sheet, scale

NORMAL, STRANGE = (1, 2, 3), (2, 4)
THRESHOLD = 2.5


def roc(sheet: Sheet) -> None:
    """Five scores, one threshold, and the area that counts pairs."""
    pairs = [(s > n) + 0.5 * (s == n) for s in STRANGE for n in NORMAL]
    right, count = sum(pairs), len(pairs)
    sheet.begin(
        360,
        "Five scores, every threshold: the ROC curve",
        f"""The area below the ROC curve counts the pairs in which the strange score is higher:
        {right:g} of {count}.""",
        """Left, five scores on an axis and a threshold. Right, the curve that arises while the
        threshold falls: a strange score is a step up, a normal one a step to the right, and a
        tie is slanted.""",
    )
    place = scale(0.5, 4.5, 34, 290)
    with sheet.part("scores"):
        for score in NORMAL:
            sheet.circle(place(score), 214, 9, "data", fill=0.05)
        for score in STRANGE:
            sheet.square(place(score), 156, 9, "data", fill=0.85)
        sheet.curve([(24, 250), (300, 250)], width=1.5)
        for tick in range(1, 5):
            sheet.curve([(place(tick), 246), (place(tick), 254)], width=1.5)
            sheet.text(place(tick), 272, str(tick), size=13)
        sheet.text(162, 294, "score")
        sheet.circle(46, 326, 7, "data", fill=0.05)
        sheet.text(60, 331, "normal", anchor="start")
        sheet.square(146, 326, 7, "data", fill=0.85)
        sheet.text(160, 331, "strange", anchor="start")
    with sheet.part("threshold"):
        x = place(THRESHOLD)
        sheet.curve([(x, 112), (x, 250)], dash="dashed")
        sheet.text(x, 84, f"threshold $τ$ = {THRESHOLD:g}")
        sheet.arrow((x, 104), (x + 60, 104))
        sheet.text(x + 68, 109, "alarm", anchor="start")
    across, up = scale(0, 1, 380, 600), scale(0, 1, 284, 84)
    with sheet.part("curve"):
        levels = sorted({*NORMAL, *STRANGE}, reverse=True)
        points = [(across(0), up(0))]
        for level in levels:
            false = sum(n >= level for n in NORMAL) / len(NORMAL)
            found = sum(s >= level for s in STRANGE) / len(STRANGE)
            points.append((across(false), up(found)))
        sheet.curve(points, width=3.5, down_to=up(0), fill=0.1)
        sheet.curve([points[0], points[-1]], width=1.5, dash="dotted")
        sheet.text(530, 232, "AUROC")
        sheet.text(530, 252, f"{right:g} / {count} = {right / count:g}")
    with sheet.part("threshold"):
        false = sum(n > THRESHOLD for n in NORMAL) / len(NORMAL)
        found = sum(s > THRESHOLD for s in STRANGE) / len(STRANGE)
        sheet.circle(across(false), up(found), 7, "ink")
        sheet.text(across(false) - 6, up(found) - 14, "$τ$", size=16)
    sheet.curve([(380, 84), (380, 284), (600, 284)], width=1.5)
    for value in (0, 1):
        sheet.text(across(value), 302, str(value), size=13)
        sheet.text(370, up(value) + 5, str(value), size=13, anchor="end")
    sheet.text(490, 324, "share of false alarms")
    sheet.text(330, 70, "share of strange found", anchor="start")


def protocol(sheet: Sheet) -> None:
    """Three bins, in one direction."""
    sheet.begin(
        320,
        "Three bins of images, each with one job",
        """The test images are reported on once and choose nothing. A threshold that has seen
        them flatters.""",
        """Three boxes in a row: normal images fit the model, other normal images choose the
        threshold, and images of neither, normal and strange, are scored. The way back from the
        test to the threshold is crossed out.""",
    )
    bins = [
        ("fit", "1. Fit", "training images,", "all normal", "model"),
        (
            "threshold",
            "2. Threshold",
            "other images,",
            "all normal",
            "$τ$",
        ),
        ("report", "3. Report once", "test images,", "normal and strange", ""),
    ]
    for i, (part, name, first, second, result) in enumerate(bins):
        x = 20 + 218 * i
        with sheet.part(part):
            sheet.box(x, 66, 164, 118, fill=0.05)
            sheet.text(x + 82, 92, name, bold=True, size=15)
            sheet.lines(x + 82, 116, first, second)
            for j in range(7):
                strange = part == "report" and j in (2, 5)
                if strange:
                    sheet.square(x + 28 + 18 * j, 160, 6, "data", fill=0.85)
                else:
                    sheet.circle(x + 28 + 18 * j, 160, 6, "data", fill=0.05)
            if result:
                sheet.arrow((x + 167, 125), (x + 215, 125), width=2.5)
                sheet.text(x + 189, 112, result, size=14)
    with sheet.part("forbidden"):
        sheet.arrow(
            (538, 188),
            (538, 238),
            (320, 238),
            (320, 190),
            role="broken",
            dash="dashed",
            width=3,
        )
        sheet.cross(429, 238, 11)
        sheet.lines(
            429,
            270,
            "forbidden: the threshold would be",
            "fitted to the images of the report",
            size=14,
        )
    sheet.circle(30, 264, 6, "data", fill=0.05)
    sheet.text(44, 269, "normal", anchor="start")
    sheet.square(30, 290, 6, "data", fill=0.85)
    sheet.text(44, 295, "strange", anchor="start")


def threshold(sheet: Sheet) -> None:
    """Nineteen sorted scores and twenty places for the next one."""
    n, alpha = 19, 0.05
    place = math.ceil(round((n + 1) * (1 - alpha), 9))
    sheet.begin(
        320,
        f"Why {n} normal scores promise one false alarm in {n + 1}",
        f"""A new score from the same source is as likely in one place as in another, so it lies
        above all {n} with probability 1/{n + 1}.""",
        f"""The {n} sorted validation scores leave {n + 1} places, all equally likely for the next
        one; the threshold is the score in place {place}, and one of the places lies above it.""",
    )
    left, step = 40, 28
    with sheet.part("scores"):
        sheet.text(left, 76, f"{n} validation scores, sorted:", anchor="start")
        for i in range(1, n + 1):
            sheet.circle(left + step * i, 128, 7, "data", fill=0.05)
        for i in (1, 10):
            sheet.text(left + step * i, 108, str(i), size=13)
        sheet.curve([(30, 150), (610, 150)], width=1.5)
    with sheet.part("places"):
        for i in range(n + 1):
            alarm = i >= place
            sheet.box(
                left + step * i + 3, 170, step - 6, 34, fill=0.05, radius=3, hatch=alarm
            )
        sheet.text(
            left,
            228,
            f"{n + 1} places for a new score, each with probability 1/{n + 1}",
            anchor="start",
        )
    with sheet.part("threshold"):
        x = left + step * place
        sheet.curve([(x, 88), (x, 246)], dash="dashed", width=2.5)
        sheet.text(x - 8, 78, f"$τ$: place {place}", anchor="end")
        sheet.text(x + 24, 262, "alarm", anchor="middle")
    sheet.text(
        320,
        296,
        f"$⌈(n + 1)(1 − α)⌉ = ⌈{n + 1} · {1 - alpha:g}⌉ = {place}$, for $n$ = {n} and $α$ = {alpha:g}",
        size=15,
    )
