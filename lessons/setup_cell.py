# @title Set-up: finds the course's helpers; on Colab it fetches them (a few seconds)
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY, BRANCH, HELPERS = "@REPOSITORY@", "@BRANCH@", "@HELPERS@"
here, colab = Path.cwd(), Path(f"/content/vae-course-{HELPERS[:8]}")
around = [p for p in [here, *here.parents] if (p / "vae_helpers/__init__.py").exists()]
home = around[0] if around else None
if home is None and "google.colab" in sys.modules and not find_spec("vae_helpers"):
    if not HELPERS:
        raise ModuleNotFoundError(
            "This copy of the course was not published, so it has no address to fetch "
            "vae_helpers from. Upload the folder vae_helpers beside this notebook, or "
            "open a published copy (`make fork` publishes one)."
        )
    if not colab.exists():
        # HELPERS names the helpers of this notebook by their content: git takes them
        # from any commit of the branch that has them, and nothing else.
        place = f"{colab}-new"
        shutil.rmtree(place, ignore_errors=True)
        clone = ["clone", "-q", "--no-checkout", "--filter=blob:none", "-b", BRANCH]
        take = ["-C", place, "read-tree", "-u", "--prefix=vae_helpers/", HELPERS]
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        subprocess.run(["git", *clone, REPOSITORY, place], check=True, env=quiet)
        if subprocess.run(["git", *take], env=quiet).returncode:
            raise ModuleNotFoundError(
                f"{REPOSITORY} has not the helpers that this notebook was published "
                "with; open the notebook anew from there."
            )
        os.replace(place, colab)
    home = colab
if home and sys.path[0] != str(home):
    sys.path.insert(0, str(home))  # the folder of this notebook wins
wanted = ["vae_helpers", "torch", "torchvision", "matplotlib"]
if missing := [name for name in wanted if find_spec(name) is None]:
    advice = "Start the notebook in the course's folder: its README says how."
    if home or HELPERS:
        install = f'-e "{home}"' if home else f"git+{REPOSITORY}@{BRANCH}"
        line = f"    %pip install {install}\n"
        advice = f"Run in a new cell:\n{line}and restart the kernel."
    raise ModuleNotFoundError(
        f"Not installed here: {', '.join(missing)}. {advice} "
        f"(Python: {sys.executable}; vae_helpers was looked for in {here} and above.)"
    )
used = Path(find_spec("vae_helpers").origin).parents[1]
if home and not used.samefile(home):
    print(f"Note: vae_helpers comes from {used}, not from {home}: restart the kernel.")
