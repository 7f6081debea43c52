"""Runtime, plots, widgets, panels, latents and drawn images."""

import base64
import io
import os
import re
import sys
from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from vae_helpers import generated, latents, pictures, plots, runtime, widgets
from vae_helpers.checks import core
from vae_helpers.data import ImageData

# --- runtime ---------------------------------------------------------------------------


def test_the_chosen_device_works_and_a_wrong_wish_is_explained(monkeypatch):
    device = runtime.get_device()
    assert (torch.ones(1, device=device) + 1).item() == 2
    assert runtime.get_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="device 'nonsense' does not work here"):
        runtime.get_device("nonsense")
    monkeypatch.setenv("VAE_COURSE_DEVICE", "cpu")
    assert runtime.get_device() == torch.device("cpu")


def test_without_cuda_and_mps_the_cpu_is_used(monkeypatch):
    def refuse(*arguments, device=None, **options):
        raise RuntimeError(f"no {device}")

    monkeypatch.setattr(torch, "ones", refuse)
    assert runtime.get_device() == torch.device("cpu")


@pytest.mark.parametrize(("limit", "most"), [("1", 1), ("0.5", 1), ("x", None)])
def test_cores_follow_cpu_limit(monkeypatch, limit, most):
    monkeypatch.setenv("CPU_LIMIT", limit)
    assert runtime.available_cores() >= 1
    if most:
        assert runtime.available_cores() == most


def test_threads_keep_a_wish_of_the_user(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert runtime.configure_threads() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
def test_released_memory_is_the_systems_again():
    def resident():
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    blocks = [bytearray(100_000) for _ in range(1000)]  # small enough for the heap
    keep = bytearray(100_000)  # above them: the heap cannot shrink by itself
    held = resident()
    del blocks
    runtime.release_memory()
    assert resident() < held - 50e6
    del keep


def test_reduced_precision_ends_with_its_block():
    before = torch.get_float32_matmul_precision()
    with pytest.raises(KeyError), runtime.reduced_precision():
        assert torch.get_float32_matmul_precision() == "medium"
        raise KeyError
    assert torch.get_float32_matmul_precision() == before


def test_start_prints_one_line_and_seeds(capsys):
    runtime.start(7, "cpu")
    first = torch.rand(3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert "seed 7" in lines[0] and "device cpu" in lines[0] and "thread" in lines[0]
    runtime.start(7, "cpu")
    assert torch.equal(torch.rand(3), first)


# --- plots -----------------------------------------------------------------------------


def test_tile_puts_images_row_by_row():
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 2, 3)
    picture = plots.tile(images, 3)
    assert picture.shape == (4, 9)
    assert picture[::2, ::3].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="5 images do not fill rows of 3"):
        plots.tile(images[:5], 3)


def test_floats_are_shown_from_0_to_1_and_bytes_from_0_to_255():
    for images, top in [
        (torch.rand(2, 1, 3, 3) / 9, 1),
        (torch.ones(2, 1, 3, 3).byte(), 255),
    ]:
        ax = plt.figure().add_subplot()
        plots.show_images(images, 2, ax=ax)
        assert ax.images[0].get_clim() == (0, top)
    plt.close("all")


def test_codes_must_be_two_dimensional():
    with pytest.raises(ValueError, match=r"shape \(N, 2\), got \(5, 16\)"):
        plots.show_codes(torch.rand(5, 16), torch.arange(5))


def test_the_square_of_codes_is_in_picture_order():
    codes = plots.square_of_codes(2.0, 3)
    assert codes.tolist()[:4] == [[-2, 2], [0, 2], [2, 2], [-2, 0]]
    assert codes.tolist()[-1] == [2, -2]


def _linear_rgb(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )


def test_colours_can_be_told_apart_without_red_or_green():
    """Simulated protanopia and deuteranopia (Vienot et al. 1999), CIELAB distance."""
    matrices = {
        "protan": [
            [0.11238, 0.88762, 0],
            [0.11238, 0.88762, 0],
            [0.00401, -0.00401, 1],
        ],
        "deutan": [
            [0.29275, 0.70725, 0],
            [0.29275, 0.70725, 0],
            [-0.02234, 0.02234, 1],
        ],
    }
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )

    def lab(rgb):
        xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    for matrix in matrices.values():
        seen = [lab(np.array(matrix) @ _linear_rgb(c)) for c in plots.COLOURS[:4]]
        for i, a in enumerate(seen):
            assert all(np.linalg.norm(a - b) > 8 for b in seen[:i])


def test_lines_have_a_second_cue_and_the_background_is_opaque():
    plots.style()
    plots.style()
    cycle = plt.rcParams["axes.prop_cycle"].by_key()
    assert len({str(line) for line in cycle["linestyle"]}) == len(plots.COLOURS)
    assert plt.rcParams["figure.facecolor"] == "white"


# --- widgets ---------------------------------------------------------------------------


def _explorer(draw):
    slider = widgets.slider("Amount", 0, 1, value=0.5, step=0.1)
    return slider, widgets.explore(draw, {"amount": slider}, width=2, height=1)


def test_moving_the_slider_changes_the_picture_and_the_sentence():
    def draw(figure, amount):
        figure.add_subplot().bar([0], [amount])
        return f"The bar is {amount:.1f} high."

    slider, box = _explorer(draw)
    control, picture, sentence = box.children
    assert control is slider and slider.description == "Amount"
    assert isinstance(picture, ipywidgets.Image)
    before = picture.value
    assert (
        bytes(before).startswith(b"\x89PNG")
        and sentence.value == "The bar is 0.5 high."
    )
    slider.value = 0.9
    assert picture.value != before and sentence.value == "The bar is 0.9 high."
    slider.value = 0.5
    assert picture.value == before, "the figure is reused, so nothing may be left in it"


def test_an_error_in_the_drawing_is_shown_and_the_last_picture_stays():
    def draw(figure, amount):
        figure.add_subplot()
        if amount > 0.7:
            raise ValueError("too much")
        return "fine"

    slider, box = _explorer(draw)
    _, picture, sentence = box.children
    before = picture.value
    slider.value = 0.8
    assert picture.value == before and sentence.value == "ValueError: too much"


def test_drawing_builds_no_graph():
    seen = []

    def draw(figure, amount):
        figure.add_subplot()
        seen.append(torch.is_grad_enabled())
        return ""

    _explorer(draw)
    assert seen == [False]


def test_whole_sliders_give_whole_numbers():
    assert isinstance(widgets.slider("N", 1, 5, value=2, step=1, whole=True).value, int)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.rand(4, 28, 28), r"images.unsqueeze\(1\)"),
        (torch.rand(4, 4, 28, 28), "got \\(4, 4, 28, 28\\)"),
        (torch.rand(4, 1, 8, 8) * 255, "divide 8-bit images by 255"),
        (torch.ones(4, 1, 8, 8, dtype=torch.int32), "got int32"),
        (torch.rand(3, 1, 8, 8), "3 images do not fill rows of 2"),
    ],
)
def test_images_that_cannot_be_shown_are_refused_in_words(images, words):
    with pytest.raises(ValueError, match=words):
        plots.show_images(images, 2)


def test_colour_images_and_arrays_are_shown():
    plots.show_images(torch.randint(0, 256, (4, 3, 8, 6), dtype=torch.uint8), 2)
    (picture,) = plots.plt.gca().images
    assert picture.get_array().shape == (16 + plots.GAP, 12 + plots.GAP, 3)
    plots.show_images(torch.rand(4, 1, 8, 6).numpy(), 2)
    shown = plots.plt.gca().images[0].get_array()
    assert shown.shape == (16 + plots.GAP, 12 + plots.GAP)
    assert (shown[8 : 8 + plots.GAP] == 1).all(), "the gap is white"


def test_a_pixel_of_an_image_is_a_whole_number_of_pixels_of_the_page():
    for width in (None, 3.3, 0.2):
        plots.show_images(torch.rand(4, 1, 28, 28), 2, width=width)
        figure = plots.plt.gcf()
        times = figure.get_size_inches() * figure.dpi / (2 * 28 + plots.GAP)
        assert np.allclose(times, times.round()) and times[0] > 0.99


def test_labels_of_classes_stand_apart_and_in_their_crowds():
    generator = torch.Generator().manual_seed(0)
    middles = torch.tensor([[0.0, 0.0], [0.1, 0.0], [4.0, 4.0]])
    classes = torch.arange(3).repeat(200)
    codes = middles[classes] + 0.5 * torch.randn(600, 2, generator=generator)
    places = plots._dense_places(codes.numpy(), classes.numpy())
    assert np.linalg.norm(places[0] - places[1]) > 0.3
    for value, at in places.items():
        assert np.linalg.norm(at - middles[value].numpy()) < 1.2


def test_a_figure_leaves_a_notebook_sharp_and_with_words():
    figure = plots.plt.figure(figsize=(4, 3))
    figure.add_subplot().set(title='less "<noise>"', xlabel="step", ylabel="nats")
    page = pictures.figure_as_html(figure)
    assert 'alt="Figure. less &quot;&lt;noise&gt;&quot;; nats against step."' in page
    width = int(re.search(r'width="(\d+)"', page)[1])
    data = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "WEBP" and abs(picture.width - 2 * width) <= 1


def test_colours_stand_in_one_palette():
    """Elsewhere only those of the palette, and greys, by name or number."""
    root = Path(plots.__file__).parents[1]
    files = [*root.glob("lessons/*.py"), *root.glob("vae_helpers/**/*.py")]
    files += root.glob("benchmarks/*.py")
    greys = {"#666666", "#888888"}
    for path in [f for f in files if f.name != "plots.py"]:
        used = set(
            re.findall(r"\"(#[0-9A-Fa-f]{6})\"", path.read_text(encoding="utf-8"))
        )
        assert used <= {*plots.COLOURS, *plots.CLASS_COLOURS} | greys, (path.name, used)


def test_verdicts_have_the_green_and_the_orange_of_the_palette_colours():
    colours = core._COLOURS
    assert colours[core.WRONG] == plots.COLOURS[1]
    assert colours[core.RIGHT] == plots.COLOURS[2]


def test_a_dark_style_changes_nothing_of_the_figures():
    with plots.plt.rc_context():
        plots.style()
        light = dict(plots.plt.rcParams)
    with plots.plt.style.context("dark_background"):
        plots.plt.rcParams["text.usetex"] = True
        plots.style()
        dark = dict(plots.plt.rcParams)
    differ = {k for k in light if repr(light[k]) != repr(dark[k])}
    assert not {k for k in differ if "color" in k or "usetex" in k}, differ


# --- latents and drawn images -----------------------------------------------------------------------


def test_frechet_distance_of_gaussians_with_known_parameters():
    torch.manual_seed(0)
    a = torch.randn(200_000, 2, dtype=torch.float64)
    b = torch.tensor([3.0, 1.0]) * torch.randn(200_000, 2) + torch.tensor([1.0, -2.0])
    # |m|^2 + sum (s_a - s_b)^2 for diagonal covariances: 5 + (1 - 3)^2 + 0
    assert generated.frechet_distance(a, b) == pytest.approx(9.0, rel=0.02)
    assert generated.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_correlated_gaussians_equals_scipy():
    scipy_linalg = pytest.importorskip("scipy.linalg")
    mix = torch.randn(3, 3, dtype=torch.float64)
    a, b = torch.randn(500, 3, dtype=torch.float64) @ mix, torch.rand(400, 3).double()
    ca, cb = np.cov(a.T), np.cov(b.T)
    root = scipy_linalg.sqrtm(ca @ cb).real
    shift = ((a.mean(0) - b.mean(0)) ** 2).sum().item()
    want = shift + np.trace(ca + cb - 2 * root)
    assert generated.frechet_distance(a, b) == pytest.approx(want, rel=1e-6)


def test_frechet_distance_refuses_too_few_rows():
    with pytest.raises(ValueError, match="more rows than the 64 features, got 64"):
        generated.frechet_distance(torch.rand(64, 64), torch.rand(99, 64))
    with pytest.raises(ValueError, match=r"got \(9, 2\) and \(9, 3\)"):
        generated.frechet_distance(torch.rand(9, 2), torch.rand(9, 3))


def test_kl_per_dimension_sums_to_the_kl():
    from vae_helpers.distributions import kl_to_standard_normal

    mu, logvar = torch.randn(50, 4), torch.randn(50, 4)
    found = latents.kl_per_dimension(mu, logvar)
    assert found.shape == (4,)
    torch.testing.assert_close(found.sum(), kl_to_standard_normal(mu, logvar).mean())
    with pytest.raises(ValueError, match=r"mu \(50, 4\), logvar \(50, 3\)"):
        latents.kl_per_dimension(mu, logvar[:, :3])


def test_a_classifier_learns_and_reports():
    torch.manual_seed(0)
    labels = torch.arange(2000) % 2
    images = torch.zeros(2000, 1, 28, 28, dtype=torch.uint8)
    images[labels == 0, :, 4:10, 4:24] = 200  # a bar on top, or a bar on the left
    images[labels == 1, :, 4:24, 4:10] = 200
    data = ImageData(
        "MNIST", "a test", False, images, labels, images, labels, ("0", "1")
    )
    classifier = generated.train_classifier(data, steps=30)
    features, chances = generated.features_and_probabilities(classifier, images)
    assert features.shape == (2000, 64) and (chances.argmax(1) == labels).all()
    report = generated.sample_report(classifier, images, features)
    assert report["distance"] == pytest.approx(0, abs=1e-3)
    assert report["rarest class"] == pytest.approx(0.5)


def test_a_figure_is_described_by_its_own_words():
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2], [1, 2], label="ours")
    left.set(title="Test images", xlabel="training step", ylabel="nats per image")
    left.legend()
    plots.show_images(torch.rand(2, 1, 4, 4), 1, row_labels=["image", "mean"], ax=right)
    words = pictures.describe(figure)
    plt.close(figure)
    assert words == (
        "Figure. Test images; nats per image against training step; shown: ours. "
        "images in rows: image, mean."
    )
