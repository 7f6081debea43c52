"""The shared code of vae-course: small modules, each written out in a lesson first.

Import the module you need, for example ``from vae_helpers import data, plots``.
Nothing heavy is imported here.
"""

__version__ = "0.1.0"
