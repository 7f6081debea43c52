"""JupyterHub for this course on one machine, with nbgrader's exchange.

    jupyterhub -f instructor/hub/jupyterhub_config.py

Students log in with their account on the machine. Set in the environment:

    VAE_HUB_DATA      a folder for the hub's state and the exchange (default: ./hub-data)
    VAE_HUB_ADMINS    account names of the teachers, separated by commas
    VAE_HUB_PORT      default 8000, on 127.0.0.1: put a web server with TLS in front
    VAE_HUB_TRIAL     1: one shared password (VAE_HUB_PASSWORD) and no accounts, for a
                      trial on your own machine; everybody then is the same user of it
"""

import os
import shutil
import sys
from pathlib import Path

c = get_config()  # noqa: F821  (given by the loader of this file)
HERE = Path(__file__).resolve().parent
COURSE = HERE.parents[1]
DATA = Path(os.environ.get("VAE_HUB_DATA", "hub-data")).resolve()
TRIAL = os.environ.get("VAE_HUB_TRIAL") == "1"
ADMINS = {name for name in os.environ.get("VAE_HUB_ADMINS", "").split(",") if name}
EXCHANGE = DATA / "exchange"
DATA.mkdir(parents=True, exist_ok=True)
EXCHANGE.mkdir(exist_ok=True)
EXCHANGE.chmod(0o777)  # nbgrader: everybody may hand in

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ.get('VAE_HUB_PORT', '8000')}"
c.JupyterHub.hub_port = int(os.environ.get("VAE_HUB_API_PORT", "8081"))
c.JupyterHub.db_url = f"sqlite:///{DATA / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(DATA / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(DATA / "proxy.pid")
c.ConfigurableHTTPProxy.api_url = (
    f"http://127.0.0.1:{os.environ.get('VAE_HUB_PROXY_PORT', '8001')}"
)
if (
    "VAE_HUB_PROXY" in os.environ
):  # where configurable-http-proxy is, if not on the path
    c.ConfigurableHTTPProxy.command = os.environ["VAE_HUB_PROXY"].split()
c.Authenticator.admin_users = ADMINS
c.Authenticator.allow_all = True  # everybody who can log in

# One core and 1.5 GB are enough for every lesson. A spawner of plain processes does not
# enforce this; DockerSpawner, SystemdSpawner and KubeSpawner do.
c.Spawner.mem_limit = "1.5G"
c.Spawner.cpu_limit = 1.0
c.Spawner.default_url = "/lab"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 180


def prepare(spawner) -> None:
    """Put the lessons into a student's home, beside what is there; overwrite nothing."""
    home = Path(spawner_home(spawner))
    target = home / "vae-course"
    target.mkdir(parents=True, exist_ok=True)
    for notebook in sorted((COURSE / "notebooks").glob("*.ipynb")):
        if not (target / notebook.name).exists():
            shutil.copyfile(notebook, target / notebook.name)
            hand_over(target / notebook.name, home)
    hand_over(target, home)
    spawner.environment = {
        "OMP_NUM_THREADS": "1",
        "JUPYTER_CONFIG_PATH": str(HERE),  # nbgrader_config.py for everybody
        "NBGRADER_EXCHANGE": str(EXCHANGE),
        "VAE_HUB_TRIAL": "1" if TRIAL else "0",
    }


def spawner_home(spawner) -> str:
    """The home folder of the user of a server."""
    if TRIAL:
        return spawner.home_dir_template.format(username=spawner.user.name)
    return os.path.expanduser(f"~{spawner.user.name}")


def hand_over(path: Path, home: Path) -> None:
    """Give a file to the owner of a home folder, if we may."""
    if os.geteuid() == 0:
        owner = home.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


c.Spawner.pre_spawn_hook = prepare

if TRIAL:
    c.JupyterHub.authenticator_class = "dummy"
    c.DummyAuthenticator.password = os.environ["VAE_HUB_PASSWORD"]
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(DATA / "homes" / "{username}")
    if os.geteuid() == 0:
        c.Spawner.args = ["--allow-root"]
    if "VAE_HUB_TOKEN" in os.environ:  # lets a test drive the hub
        c.JupyterHub.services = [
            {"name": "driver", "api_token": os.environ["VAE_HUB_TOKEN"]}
        ]
        c.JupyterHub.load_roles = [
            {
                "name": "driver",
                "services": ["driver"],
                "scopes": ["admin:users", "admin:servers", "access:servers"],
            }
        ]
