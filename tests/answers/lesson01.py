"""Right and wrong answers to the exercises of lesson 01."""

import math

import torch

from vae_helpers.checks import lesson01 as check


def pca_eigh(train, x, size):
    mean = train.mean(0)
    _, vectors = torch.linalg.eigh((train - mean).T @ (train - mean))
    v = vectors[:, -size:]
    return (x - mean) @ v @ v.T + mean


def pca_lowrank(train, x, size):
    mean = train.mean(0, keepdim=True)
    v = torch.linalg.svd(train - mean).Vh[:size]
    out = torch.zeros_like(x)
    for row in range(len(x)):
        out[row] = mean[0] + sum(((x[row] - mean[0]) @ d) * d for d in v)
    return out


def pca_uncentred(train, x, size):
    v = torch.linalg.svd(train, full_matrices=False).Vh[:size]
    return x @ v.T @ v


def pca_smallest(train, x, size):
    mean = train.mean(0)
    _, vectors = torch.linalg.eigh((train - mean).T @ (train - mean))
    v = vectors[:, :size]
    return (x - mean) @ v @ v.T + mean


def pca_code(train, x, size):
    mean = train.mean(0)
    return (x - mean) @ torch.linalg.svd(train - mean, full_matrices=False).Vh[:size].T


def pca_columns(train, x, size):
    mean = train.mean(0)
    v = torch.linalg.svd(train - mean, full_matrices=False).Vh[:, :size]
    return mean + (x - mean) @ v @ v.T


def forward(x, encoder, decoder):
    flat = x.reshape(x.shape[0], -1)
    z = encoder(flat)
    return [z, decoder(z).reshape(x.shape)]


def forward_nn(x, encoder, decoder):
    z = encoder(torch.nn.Flatten()(x))
    return z, torch.nn.Unflatten(1, x.shape[1:])(decoder(z))


EXERCISES = {
    "01.1": {
        "check": check.pca_reconstruct,
        "right": [(pca_eigh,), (pca_lowrank,)],
        "wrong": [
            ((pca_uncentred,), "never taken off"),
            ((pca_smallest,), "smallest variance"),
            ((pca_code,), "This is the code"),
            ((pca_columns,), "rows of `Vh`"),
            ((lambda t, x, z: x * 1,), "`x` itself"),
        ],
    },
    "01.2": {
        "check": check.forward_pass,
        "right": [(forward,), (forward_nn,)],
        "wrong": [
            ((lambda x, e, d: forward(x, e, d)[::-1],), "comes first"),
            ((lambda x, e, d: (e(x.flatten(1)), d(e(x.flatten(1)))),), "is flat"),
            ((lambda x, e, d: forward(x, e, d)[1],), "Return 2 things"),
            ((lambda x, e, d: (e(x), d(e(x))),), "Flatten images"),
            (
                (lambda x, e, d: [t.detach() for t in forward(x, e, d)],),
                "No gradient passes",
            ),
            (
                (
                    lambda x, e, d: (
                        e(x.flatten(1)),
                        d(e(x.flatten(1)).detach()).view_as(x),
                    ),
                ),
                "detached code",
            ),
            (
                (lambda x, e, d: (forward(x, e, d)[0], forward(x, e, d)[1].sigmoid()),),
                "sigmoid",
            ),
        ],
    },
    "01.3": {
        "check": check.compression_ratio,
        "right": [
            (lambda s, p, z, c: math.prod(s) * p / (z * c),),
            (lambda s, p, z, c: (s[0] * s[1] * s[2] / z) * (p / c),),
        ],
        "wrong": [
            ((lambda s, p, z, c: z * c / (math.prod(s) * p),), "turn the fraction"),
            ((lambda s, p, z, c: s[1] * s[2] * p / (z * c),), "channels"),
            ((lambda s, p, z, c: math.prod(s) * p / z * c,), "parentheses"),
            ((lambda s, p, z, c: sum(s) * p / (z * c),), "product"),
        ],
    },
}
