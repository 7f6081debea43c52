# Set-up: finds the course's helpers. On Colab it fetches them first (a few seconds).
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY, BRANCH = "@REPOSITORY@", "@BRANCH@"
if find_spec("vae_helpers") is None:
    places = [Path.cwd(), *Path.cwd().parents, Path("/content/vae-course")]
    if "google.colab" in sys.modules and not places[-1].exists():
        command = ["git", "clone", "-q", "--depth=1", f"--branch={BRANCH}", REPOSITORY]
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        subprocess.run([*command, str(places[-1])], check=True, env=quiet)
    home = next((p for p in places if (p / "vae_helpers").is_dir()), None)
    if home is None:
        raise ModuleNotFoundError(
            "The package vae_helpers is not here. Open this notebook inside the "
            "course's folder, or install it there with: pip install -e ."
        )
    sys.path.insert(0, str(home))
