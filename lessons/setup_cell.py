# @title Set-up: finds the course's helpers; on Colab it fetches them (a few seconds)
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY, BRANCH = "@REPOSITORY@", "@BRANCH@"
here, colab = Path.cwd(), Path("/content/vae-course")
around = [p for p in [here, *here.parents] if (p / "vae_helpers/__init__.py").exists()]
home = around[0] if around else None
if home is None and "google.colab" in sys.modules and not find_spec("vae_helpers"):
    if not colab.exists():
        command = ["git", "clone", "-q", "--depth=1", f"--branch={BRANCH}", REPOSITORY]
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        subprocess.run([*command, str(colab)], check=True, env=quiet)
    home = colab
if home and sys.path[0] != str(home):
    sys.path.insert(0, str(home))  # the folder of this notebook wins
wanted = ["vae_helpers", "torch", "torchvision", "matplotlib"]
if missing := [name for name in wanted if find_spec(name) is None]:
    install = f'-e "{home}"' if home else f"git+{REPOSITORY}@{BRANCH}"
    raise ModuleNotFoundError(
        f"Not installed here: {', '.join(missing)}. Run in a new cell:\n"
        f"    %pip install {install}\nand restart the kernel. "
        f"(Python: {sys.executable}; vae_helpers was looked for in {here} and above.)"
    )
used = Path(find_spec("vae_helpers").origin).parents[1]
if home and not used.samefile(home):
    print(f"Note: vae_helpers comes from {used}, not from {home}: restart the kernel.")
