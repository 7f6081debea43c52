"""Build the VAE Lab: one page that trains a VAE, from site/lab.

    python tools/build_lab.py [FILE]

writes build/site/lab.html, in which style, code and digits stand: it needs no server, no
network and no other file. `make site` builds it, too.
"""

import argparse
import base64
import json
import re
import sys
from pathlib import Path

import builder
import numpy as np

SOURCE = builder.ROOT / "site" / "lab"
MODULES = [
    "engine",
    "state",
    "export",
    "cards",
    "draw",
    "app",
]  # each needs those before
TRAIN = 1500  # of the 1,797 digits; the others are for testing
IMPORT = re.compile(r"^import .*? from \"\./(\w+)\.js\";\n", re.MULTILINE | re.DOTALL)
EXPORT = re.compile(r"^export (?=const|class|function)", re.MULTILINE)


def digits() -> dict:
    """scikit-learn's digits of 8 x 8 pixels, shuffled: bytes 0 to 16 in base64, labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.data))
    images = found.data[order].astype(np.uint8)
    return {
        "images": base64.b64encode(images.tobytes()).decode(),
        "labels": "".join(map(str, found.target[order])),
        "train": TRAIN,
    }


def code() -> str:
    """All modules as one script, in their order, without imports and exports.

    Raises:
        ValueError: a module imports one that comes after it, or a name stands twice.
    """
    parts, seen = [], {}
    for position, name in enumerate(MODULES):
        text = (SOURCE / f"{name}.js").read_text(encoding="utf-8")
        for needed in IMPORT.findall(text):
            if needed not in MODULES[:position]:
                raise ValueError(f"{name}.js imports {needed}.js, which comes later")
        pattern = r"^(?:export )?(?:const|let|class|function) (\w+)"
        for word in re.findall(pattern, text, re.MULTILINE):
            if word in seen:
                raise ValueError(f"{word} stands in {seen[word]}.js and {name}.js")
            seen[word] = name
        parts.append(EXPORT.sub("", IMPORT.sub("", text)))
    return "\n".join(parts)


def page() -> str:
    """The whole page."""
    text = (SOURCE / "index.html").read_text(encoding="utf-8")
    values = {
        "/*STYLE*/": (SOURCE / "style.css").read_text(encoding="utf-8"),
        "/*CODE*/": code(),
        "/*DIGITS*/": json.dumps(digits()),
    }
    for name, value in values.items():
        if name not in text:
            raise ValueError(f"site/lab/index.html has no place for {name}")
        text = text.replace(name, value)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = builder.ROOT / "build" / "site" / "lab.html"
    parser.add_argument("file", nargs="?", type=Path, default=default)
    file = parser.parse_args().file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(), encoding="utf-8")
    print(f"{file}: {file.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    sys.exit(main())
