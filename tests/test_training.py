"""fit: what it records, how it stops, and that looking does not change the training."""

import os
import signal
import struct
import subprocess
import sys

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset

from vae_helpers import training
from vae_helpers.training import History, fit, progress, warmup_cosine
from vae_helpers.vae import VAE, Autoencoder, vae_loss

IMAGES = (torch.rand(300, 1, 6, 6) * 255).to(torch.uint8)


def _model():
    torch.manual_seed(0)
    return VAE(2, 8, (1, 6, 6))


def _weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_loss_falls_and_the_history_is_complete():
    history = fit(
        _model(), IMAGES, vae_loss, steps=250, batch_size=32, report_every=100
    )
    assert history.steps == [100, 200, 250]
    for name in ("loss", "reconstruction", "kl"):
        assert len(history[name]) == 3
    assert history["loss"][-1] < history["loss"][0]
    total = history["reconstruction"][0] + history["kl"][0]
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)
    assert not history.interrupted


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    runs = []
    for seed in (0, 0, 1):
        model = _model()
        fit(model, IMAGES, vae_loss, steps=20, batch_size=32, seed=seed)
        runs.append(_weights(model))
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(runs[0], runs[2])


def test_looking_more_often_does_not_change_the_training():
    runs = []
    for every in (1, 1000):
        model = _model()
        fit(
            model,
            IMAGES,
            vae_loss,
            steps=20,
            batch_size=32,
            report_every=every,
            on_report=lambda m: {"drawn": torch.rand(7).sum().item()},
        )
        runs.append(_weights(model))
    assert torch.equal(*runs)


def test_every_image_is_used_once_in_an_epoch():
    seen = []

    def loss_fn(model, x):
        seen.append(x[:, 0, 0, 0])
        return vae_loss(model, x)

    images = torch.arange(96, dtype=torch.uint8).view(96, 1, 1, 1).expand(96, 1, 6, 6)
    fit(_model(), images, loss_fn, steps=6, batch_size=32)
    for epoch in (seen[:3], seen[3:]):
        assert (torch.cat(epoch) * 255).round().sort().values.tolist() == [*range(96)]
    assert not torch.equal(torch.cat(seen[:3]), torch.cat(seen[3:]))


def test_batches_are_floats_between_0_and_1():
    def loss_fn(model, x):
        assert x.dtype == torch.float32 and x.min() >= 0 and 0.9 < x.max() <= 1
        return vae_loss(model, x)

    fit(_model(), IMAGES, loss_fn, steps=3, batch_size=100)


def test_the_schedule_scales_the_rate():
    rates = []

    def schedule(fraction):
        rates.append(fraction)
        return 0.0

    model = _model()
    before = _weights(model)
    fit(model, IMAGES, vae_loss, steps=4, batch_size=32, schedule=schedule)
    assert rates == [0, 0.25, 0.5, 0.75]
    assert torch.equal(_weights(model), before)


def test_warmup_cosine():
    assert warmup_cosine(0) == 0 and warmup_cosine(0.05) == pytest.approx(0.5)
    assert warmup_cosine(0.1) == pytest.approx(1) and warmup_cosine(1) < 1e-12
    falling = [warmup_cosine(0.1 + 0.09 * i) for i in range(11)]
    assert falling == sorted(falling, reverse=True)


def test_nan_stops_and_names_term_and_step():
    count = 0

    def loss_fn(model, x):
        nonlocal count
        count += 1
        terms = vae_loss(model, x)
        if count >= 13:
            terms["kl"] = terms["kl"] * float("nan")
            terms["loss"] = terms["loss"] + terms["kl"]
        return terms

    with pytest.raises(FloatingPointError, match=r"'kl' became nan at step 13\."):
        fit(_model(), IMAGES, loss_fn, steps=50, batch_size=32, report_every=10)


def test_an_exploding_logvar_is_named():
    model = _model()
    nn.init.constant_(model.to_logvar.bias, 200.0)
    with pytest.raises(FloatingPointError, match="'kl' became inf at step 1\\."):
        fit(model, IMAGES, vae_loss, steps=5, batch_size=32, report_every=5)


def _autoencoder():
    return Autoencoder(2, 8, (1, 6, 6))


def _interrupting(at):
    """A loss that is interrupted, as by the kernel's Stop, when it is called `at` times."""
    count = 0

    def loss_fn(model, x):
        nonlocal count
        count += 1
        if count == at:
            signal.raise_signal(signal.SIGINT)  # what "interrupt the kernel" sends
        return vae_loss(model, x)

    return loss_fn


def test_an_interrupt_ends_the_cell_and_keeps_model_and_history():
    model = _model()
    before = _weights(model)
    said = "Stopped by hand after 25 of 99 steps"
    with pytest.raises(KeyboardInterrupt, match=said) as stop:
        fit(model, IMAGES, _interrupting(26), steps=99, batch_size=32, report_every=10)
    assert stop.value._render_traceback_()[0].startswith(said)
    history = training.last_history()
    assert history.interrupted and history.steps == [10, 20]
    assert len(history["loss"]) == 2 and "stopped by hand" in repr(history)
    assert not torch.equal(_weights(model), before)


def test_an_interrupt_before_the_first_report_says_why_there_is_no_loss():
    with pytest.raises(KeyboardInterrupt, match="after 0 of 99 steps"):
        fit(_model(), IMAGES, _interrupting(1), steps=99, batch_size=32)
    with pytest.raises(KeyError, match="stopped before its first report"):
        training.last_history()["loss"]
    assert repr(training.last_history()) == "History(empty)"


def test_an_interrupt_while_the_bar_is_drawn_is_no_other_error(monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "progress", interrupted)
    for train in (
        lambda: fit(_model(), IMAGES, vae_loss, steps=9, batch_size=32),
        lambda: training.train_autoencoder(_autoencoder(), IMAGES, steps=9),
    ):
        with pytest.raises(KeyboardInterrupt, match="after 0 of 9 steps"):
            train()


def test_an_interrupted_loop_of_trainings_ends_in_a_notebook(tmp_path):
    """Also where the output is captured; the cells behind it are not run."""
    loop = (
        "import signal, torch\nfrom IPython.utils.capture import capture_output\n"
        "from vae_helpers import training\nfrom vae_helpers.vae import Autoencoder\n"
        "images, started = torch.rand(64, 1, 28, 28), 0\n"
        "class Stops(Autoencoder):\n"
        "    def forward(self, x):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        return super().forward(x)\n"
        "for _ in range(3):\n"
        "    started += 1\n"
        "    with capture_output():\n"
        "        training.train_autoencoder(Stops(2), images, steps=5, batch_size=8)\n"
    )
    cells = [nbformat.v4.new_code_cell(source) for source in (loop, "print(started)")]
    book = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(book, kernel_name="python3", allow_errors=True).execute()
    (error,) = [o for o in cells[0].outputs if o.output_type == "error"]
    assert "Stopped by hand after 0 of 5 steps" in "".join(error.traceback)
    assert len(error.traceback) == 1
    assert cells[1].outputs[0].text == "1\n"


def test_a_model_that_is_trained_again_says_so(capsys):
    model, other = _model(), _model()
    for steps in (4, 3):
        fit(model, IMAGES, vae_loss, steps=steps, batch_size=32)
    fit(other, IMAGES, vae_loss, steps=2, batch_size=32)
    out = capsys.readouterr().out
    assert out.count("has been trained for") == 1 and "4 steps already" in out


def test_a_first_step_that_fails_is_no_training(capsys):
    model = _model()
    with pytest.raises(ZeroDivisionError):
        fit(model, IMAGES, lambda model, x: 1 / 0, steps=4, batch_size=32)
    fit(model, IMAGES, vae_loss, steps=4, batch_size=32)
    assert "has been trained" not in capsys.readouterr().out


def test_a_diverged_autoencoder_is_told(capsys):
    with pytest.raises(FloatingPointError, match="'loss' became .* at step"):
        training.train_autoencoder(_autoencoder(), IMAGES, steps=50, lr=1e30)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("images", [IMAGES, IMAGES / 255, (IMAGES / 255).double()])
def test_models_of_any_precision_take_images_of_any(images, dtype):
    fit(_model().to(dtype), images, vae_loss, steps=2, batch_size=32)
    training.train_autoencoder(_autoencoder().to(dtype), images, steps=2, batch_size=8)


def test_another_default_dtype_does_not_stop_a_training():
    torch.set_default_dtype(torch.float64)
    try:
        fit(_model(), IMAGES, vae_loss, steps=2, batch_size=32)
        training.train_autoencoder(_autoencoder(), IMAGES, steps=2, batch_size=8)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ((IMAGES / 255).numpy(), r"torch.from_numpy\(images\)"),
        (DataLoader(TensorDataset(IMAGES)), "give all images at once"),
        (list(IMAGES), r"torch.stack\(images\)"),
        (IMAGES[:3], "need 32 images for a batch, got 3"),
        (IMAGES[:0], "need 32 images for a batch, got 0"),
        (IMAGES.float(), "divide 8-bit images by 255"),
        (IMAGES.to(torch.int16), "65535"),
        (IMAGES / 255 * torch.nan, "NaN"),
        (IMAGES[:, 0], r"images.unsqueeze\(1\)"),
        (IMAGES.expand(-1, 3, -1, -1), "3 channels where 1 is needed"),
        (IMAGES.expand(-1, 4, -1, -1), "4 channels where 1 is needed"),
        (IMAGES.permute(0, 2, 3, 1), r"images.permute\(0, 3, 1, 2\)"),
        (IMAGES[..., :5], "resize them"),
    ],
)
def test_wrong_images_get_a_sentence_with_the_cure(images, words):
    with pytest.raises(ValueError, match=words):
        fit(_model(), images, vae_loss, steps=2, batch_size=32)
    with pytest.raises(ValueError, match=words):
        training.train_autoencoder(_autoencoder(), images, steps=2, batch_size=32)


class _Reads(TorchDispatchMode):
    """Counts how often a value is read from a tensor: each read makes a GPU wait."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("images", [IMAGES, IMAGES / 255], ids=["uint8", "floats"])
def test_no_step_waits_for_the_device(images):
    counts = []
    for steps in (5, 25):
        with _Reads() as reads:
            fit(_model(), images, vae_loss, steps=steps, batch_size=32)
        counts.append(reads.count)
    assert counts[0] == counts[1]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="need 512 images for a batch, got 300"):
        fit(_model(), IMAGES, vae_loss, steps=1, batch_size=512)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        fit(_model(), IMAGES.float(), vae_loss, steps=1, batch_size=32)
    with pytest.raises(KeyError, match="'accuracy' was not recorded"):
        fit(_model(), IMAGES, vae_loss, steps=1, batch_size=32)["accuracy"]
    history = History()
    history.add(1, loss=1.0)
    with pytest.raises(ValueError, match=r"need \['loss'\], got \['kl'\]"):
        history.add(2, kl=1.0)


def test_train_autoencoder_learns_and_returns_every_loss():
    torch.manual_seed(0)
    model = Autoencoder(2, 8, (1, 6, 6))
    losses = training.train_autoencoder(model, IMAGES, steps=60, batch_size=32)
    assert len(losses) == 60 and losses[-1] < losses[0]


def test_progress_is_silent_where_the_output_is_a_file(capfd):
    assert list(progress(3)) == [0, 1, 2]
    out, err = capfd.readouterr()
    assert out == err == ""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are a Unix thing")
def test_progress_moves_on_a_terminal_and_leaves_nothing():
    import fcntl
    import pty
    import termios

    code = (
        "import time\nfrom vae_helpers.training import progress\n"
        "for _ in progress(4, 'training'): time.sleep(0.3)"
    )
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=slave, stderr=slave)
    os.close(slave)
    text = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        text += piece
    assert child.wait() == 0
    frames = text.decode().replace("\n", "\r").split("\r")
    assert any("training" in frame and "4" in frame for frame in frames), text
    assert not frames[-1].strip()


@pytest.mark.slow
def test_progress_in_a_notebook_ends_as_one_line_of_text():
    code = (
        "import time\nfrom vae_helpers.training import progress\n"
        "for _ in progress(5, 'training'):\n    time.sleep(0.15)"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(book, timeout=120, kernel_name="python3").execute()
    (output,) = book.cells[0].outputs
    assert output.data == {"text/plain": "training: 5 of 5 steps done."}
