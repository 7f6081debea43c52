"""nbgrader in the servers of a hub: the exchange, and who is who.

The course folder of the teacher has its own nbgrader_config.py, which adds to this.
"""

import os

c = get_config()  # noqa: F821  (given by the loader of this file)
c.CourseDirectory.course_id = os.environ.get("VAE_COURSE_ID", "vae")
c.Exchange.root = os.environ.get(
    "NBGRADER_EXCHANGE", "/usr/local/share/nbgrader/exchange"
)
if (
    os.environ.get("VAE_HUB_TRIAL") == "1"
):  # one account for all: the hub knows the name
    c.CourseDirectory.student_id = os.environ["JUPYTERHUB_USER"]
    home = os.environ["HOME"]
    c.Exchange.cache = os.path.join(home, ".nbgrader_cache")
