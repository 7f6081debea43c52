"""What the lessons share.

Written out in a lesson first, and imported from the next one on:
    distributions     log-densities, KL, the reparameterised sample; (B,) nats
    bounds            the ELBO over a data set, the importance-weighted bound
    vae               the autoencoder of lesson 01, the VAE of lesson 04, its loss
    training          fit, train_autoencoder, schedules, History
    latents           KL of each latent, active units, mutual information gap
    linear_gaussian   the model in which log p(x) is exact
    anomaly           scores, thresholds, AUROC with an interval

Not taught, so that lessons can be about VAEs:
    data, download, pixels, sprites     images, and where they come from
    generated                           a classifier, and the distance of drawn images
    plots, widgets, progress, runtime   figures, sliders, bars, device and seed
    pads                                a plane to drag a point on, a square to draw in
    drawings                            the machine and its ideas, drawn by code
    pictures, films                     how figures leave a notebook, films that loop
    expected                            panels: is my number where three seeds were?
    predict                             a learner's guesses beside what was measured
    checks                              what the exercises are checked with
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - run where pip was not asked
    raise ImportError(
        "Python 3.11 or newer is needed, this is "
        + ".".join(map(str, sys.version_info[:3]))
        + " ("
        + sys.executable
        + "). See TROUBLESHOOTING.md."
    )

__version__ = "0.1.0"
