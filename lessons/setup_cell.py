# Set-up: finds the course's helpers. On Colab it fetches them first (a few seconds).
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY, BRANCH = "@REPOSITORY@", "@BRANCH@"
places = [Path.cwd(), *Path.cwd().parents]
if "google.colab" in sys.modules:
    places.append(Path("/content/vae-course"))
    if not places[-1].exists():
        command = ["git", "clone", "-q", "--depth=1", f"--branch={BRANCH}", REPOSITORY]
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        subprocess.run([*command, str(places[-1])], check=True, env=quiet)
home = next((p for p in places if (p / "vae_helpers").is_dir()), None)
if home and str(home) not in sys.path[:1]:
    sys.path.insert(0, str(home))  # the helpers beside this notebook come first
wanted = ["torch", "torchvision", "matplotlib", "vae_helpers"]
if missing := [name for name in wanted if find_spec(name) is None]:
    raise ModuleNotFoundError(
        f"{', '.join(missing)}: not found by {sys.executable}, nor in {Path.cwd()} and "
        "the folders above it. Run this line in a cell, then restart the kernel: "
        f"%pip install git+{REPOSITORY}@{BRANCH}"
    )
