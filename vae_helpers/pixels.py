"""Pixels in [0, 1]: what a Bernoulli likelihood needs, checked once."""

import math

import numpy as np
import torch
from torch import Tensor


def to_unit_interval(images: Tensor) -> Tensor:
    """Pixels as floats in [0, 1], the range that a Bernoulli likelihood needs.

    Args:
        images: uint8 in 0..255, or floats that lie in [0, 1] already; any shape.

    Returns:
        The same shape on the same device. uint8 becomes float32, divided by 255; floats
        come back as they are, once checked.

    Raises:
        ValueError: another type of number, a value outside [0, 1], NaN or infinity; the
            message gives what came and what was needed.

    Source:
        Taught in lesson 00.
    """
    needed = "need uint8 images (0 to 255) or floats in [0, 1]"
    need_tensor(images, needed)
    if images.dtype == torch.uint8:
        return remember_unit_interval(images.to(torch.float32) / 255)
    kind = str(images.dtype).removeprefix("torch.")
    if not images.is_floating_point():
        raise ValueError(
            f"{needed}, got {kind}; divide by the value of white: images / 255, or "
            "images / 65535 for 16-bit pictures"
        )
    if images.numel() == 0:
        return images
    # aminmax hands NaN on: one pass over the pixels checks everything.
    low, high = (value.item() for value in images.detach().aminmax())
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{needed}, got {kind} with NaN in it")
    if low < 0 or high > 1:
        hint = "; divide 8-bit images by 255" if low >= 0 and 1 < high <= 255 else ""
        raise ValueError(f"{needed}, got {kind} from {low:g} to {high:g}{hint}")
    return images


def remember_unit_interval(images: Tensor) -> Tensor:
    """Note on a tensor that its values lie in [0, 1], and return the same tensor.

    A loss that asks `known_in_unit_interval` need not look at every pixel again. On a GPU
    that look would make the program wait for the device in every step of a training. A
    change in place ends the note; a copy, a slice or a result does not have it.
    """
    if not images.is_inference():  # such tensors do not count their changes
        images._in_unit_interval = id(images), images._version
    return images


def known_in_unit_interval(images: Tensor) -> bool:
    """True when the tensor carries the note and was not changed in place since."""
    note = getattr(images, "_in_unit_interval", None)
    return note is not None and note == (id(images), images._version)


def need_tensor(images: object, needed: str) -> None:
    """Refuse what is no tensor, with the line that makes one.

    Raises:
        ValueError: a NumPy array, a DataLoader, a list, ...
    """
    if isinstance(images, Tensor):
        return
    came = f"{needed}, got {type(images).__name__}, not a tensor"
    if isinstance(images, np.ndarray):
        raise ValueError(f"{came}: torch.from_numpy(images)")
    if hasattr(images, "dataset") and hasattr(images, "batch_size"):
        raise ValueError(
            f"{came}: give all images at once, as one tensor (N, C, H, W); the batches "
            "are cut from it"
        )
    if isinstance(images, list | tuple):
        raise ValueError(f"{came}: torch.stack(images) makes one of a list of tensors")
    raise ValueError(came)


def need_images(
    images: object, shape: tuple[int, ...], dtype: torch.dtype | None = None
) -> None:
    """Refuse images that a model of another shape or type of number cannot take.

    Args:
        images: should be (B, *shape).
        shape: (C, H, W) of one image.
        dtype: of the model's weights; None takes any.

    Raises:
        ValueError: names what came, what was needed and, where it is known, the cure.
    """
    wanted = f"this model takes images (B, {', '.join(map(str, shape))})"
    need_tensor(images, wanted)
    came = tuple(images.shape)
    if came[1:] != shape:
        cure = "resize them or build it with image_shape=..."
        if shape[0] == 1 and came[1:] == shape[1:]:
            cure = "the axis of the channels is missing: images.unsqueeze(1)"
        elif len(came) == 4 and came[2:] == shape[1:]:
            cure = f"they have {came[1]} channels where {shape[0]} is needed"
            cure += ": images.mean(1, keepdim=True) makes grey ones" * (shape[0] == 1)
        elif len(came) == 4 and came[1:3] == shape[1:]:
            cure = "the channels come last in them: images.permute(0, 3, 1, 2)"
        raise ValueError(f"{wanted}, got {came}; {cure}")
    if dtype is not None and images.dtype != dtype:
        needed, found = (str(d).removeprefix("torch.") for d in (dtype, images.dtype))
        cure = f"images.to(torch.{needed})"
        if not images.is_floating_point():
            cure = "data.to_unit_interval(images)"
        raise ValueError(f"this model computes in {needed}, got {found} images: {cure}")
