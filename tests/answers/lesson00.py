"""Right and wrong answers to the exercises of lesson 00."""

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
            ((lambda x: x // 255,), "Everything but pure white became 0"),
            ((lambda x: x.float() / 256,), "divided by 256"),
            ((lambda x: x.float(),), "still from 0 to 255"),
            ((lambda x: (x.float() / 255 - 0.1307) / 0.3081,), "standardised"),
            ((lambda x: x.float() / 127.5 - 1,), "-1 to 1"),
            ((lambda x: 1 - x.float() / 255,), "swapped"),
            ((lambda x: x.double() / 255,), "float64"),
            ((lambda x: x.float() / x.max(),), "other values in another batch"),
            (
                (lambda x: (x - x.min()) / (x.max() - x.min()),),
                "stretched each tensor",
            ),
            ((lambda x: None,), "returned None"),
        ],
    }
}
