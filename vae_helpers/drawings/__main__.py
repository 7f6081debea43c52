"""Write all drawings into a folder: python -m vae_helpers.drawings FOLDER."""

import argparse
from pathlib import Path

from vae_helpers import drawings

parser = argparse.ArgumentParser(prog="vae_helpers.drawings", description=__doc__)
parser.add_argument("folder", type=Path, help="made if it does not exist")
folder = parser.parse_args().folder
folder.mkdir(parents=True, exist_ok=True)
for name in drawings.names():
    for theme, ending in [("light", ""), ("dark", "-dark")]:
        text = drawings.svg(name, theme=theme)
        (folder / f"{name}{ending}.svg").write_text(text, encoding="utf-8")
