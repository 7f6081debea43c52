"""Right and wrong answers to the exercises of lesson 00."""

import numpy as np
import torch

from vae_helpers.checks import lesson00 as check

EXERCISES = {
    "00.1": {
        "check": check.scale_pixels,
        "right": [
            (lambda x: x.float() / 255,),
            (lambda x: x.to(torch.float32).mul(1 / 255),),
            (lambda x: x / 255.0,),
        ],
        "wrong": [
            (
                (lambda x: (x / 255).to(torch.uint8),),
                "Everything but pure white became 0",
            ),
            ((lambda x: (x / 255).int(),), "Everything but pure white became 0"),
            ((lambda x: x * (1 / 256),), "divided by 256"),
            (
                (lambda x: torch.minimum(x / 256, torch.tensor(0.99)),),
                "White became 0.99",
            ),
            ((lambda x: x.type(torch.float32),), "still from 0 to 255"),
            ((lambda x: x / 255 if x.max() > 1 else x,), "some pixel is above 1"),
            ((lambda x: torch.stack([im / 255 for im in x]),), "without axes"),
            ((lambda x: (x - x.float().mean()) / x.float().std(),), "standardised"),
            ((lambda x: x.double() / 255,), "float64; use float32"),
            (
                (lambda x: torch.from_numpy(np.float32(x.numpy() / 255)).half(),),
                "float16",
            ),
            ((lambda x: x.numpy() / np.float32(255),), "a NumPy array"),
        ],
    }
}
