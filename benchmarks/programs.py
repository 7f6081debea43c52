"""Programs that train one and the same VAE, and the matrix products under all of them.

Each program is a function (model, task) -> None that trains the model in place for
`task.epochs` passes over the images. All use the grey-pixel Bernoulli loss, Adam at a rate
of 1e-3 and batches of the same size; they differ in how they feed and step the model.
"""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.transforms import ToTensor

from vae_helpers import runtime, training
from vae_helpers.vae import VAE, vae_loss

RATE = 1e-3  # of Adam, in every program
HIDDEN, LATENT = 400, 20


@dataclass(frozen=True)
class Task:
    """What every program gets: images (N, 1, 28, 28) uint8, and how long to train."""

    images: Tensor
    epochs: int
    batch_size: int = 128
    seed: int = 0
    device: torch.device = torch.device("cpu")

    @property
    def steps(self) -> int:
        return self.epochs * (len(self.images) // self.batch_size)


def new_model(seed: int = 0, hidden: int = HIDDEN) -> VAE:
    """784-400-20-400-784, the same weights for the same seed."""
    torch.manual_seed(seed)
    return VAE(LATENT, hidden)


# The course


def course_fit(model: nn.Module, task: Task) -> None:
    """`training.fit`, as the lessons call it."""
    training.fit(
        model,
        task.images,
        vae_loss,
        steps=task.steps,
        batch_size=task.batch_size,
        lr=RATE,
        seed=task.seed,
        device=task.device,
    )


def course_fit_reduced(model: nn.Module, task: Task) -> None:
    """`training.fit` with matrix products at reduced precision."""
    with runtime.reduced_precision():
        course_fit(model, task)


# The usual way, and what stands between it and the course


class PerImage(Dataset):
    """One image after the other through PIL and ToTensor, as torchvision's MNIST does."""

    def __init__(self, images: Tensor):
        self.images, self.transform = images.squeeze(1).cpu(), ToTensor()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images[index].numpy())
        return self.transform(image), 0


def _sigmoid_loss(model: nn.Module, x: Tensor) -> Tensor:
    """The loss of the usual example: sigmoid in the model, a sum over the batch."""
    logits, mu, logvar = model(x)
    white = torch.sigmoid(logits)
    reconstruction = F.binary_cross_entropy(white, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return reconstruction + kl


def _logits_loss(model: nn.Module, x: Tensor) -> Tensor:
    return vae_loss(model, x)["loss"]


def _loop(model, task, batches, loss_fn, *, fused=False, read_loss=True) -> None:
    """The plain loop: `batches()` gives the images of one epoch."""
    model.to(task.device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=fused or None)
    torch.manual_seed(task.seed)
    for _ in range(task.epochs):
        total = 0.0
        for batch in batches():
            x = (batch[0] if isinstance(batch, list) else batch).to(task.device)
            optimizer.zero_grad()
            loss = loss_fn(model, x)
            loss.backward()
            if read_loss:
                total += loss.item()
            optimizer.step()


def _loader(dataset: Dataset, task: Task) -> Callable:
    loader = DataLoader(dataset, task.batch_size, shuffle=True)
    return lambda: loader


def _indexed(task: Task) -> Callable:
    """Batches cut from the uint8 images by a random order, without a DataLoader."""
    images = task.images.to(task.device)

    def batches():
        for index in torch.randperm(len(images)).split(task.batch_size):
            if len(index) == task.batch_size:
                yield images[index.to(task.device)].float() / 255

    return batches


def _in_memory(task: Task) -> TensorDataset:
    return TensorDataset(task.images.float() / 255)


def usual_example(model: nn.Module, task: Task) -> None:
    """DataLoader, a transform for each image, sigmoid, Adam: PyTorch's own example."""
    _loop(model, task, _loader(PerImage(task.images), task), _sigmoid_loss)


def logits_example(model: nn.Module, task: Task) -> None:
    """The same with the sigmoid inside the loss."""
    _loop(model, task, _loader(PerImage(task.images), task), _logits_loss)


def tensor_loader(model: nn.Module, task: Task) -> None:
    """The same with the images in memory as floats, behind a DataLoader."""
    _loop(model, task, _loader(_in_memory(task), task), _logits_loss)


def indexed(model: nn.Module, task: Task) -> None:
    """The same without a DataLoader: batches cut from one uint8 tensor."""
    _loop(model, task, _indexed(task), _logits_loss)


def indexed_fused(model: nn.Module, task: Task) -> None:
    """The same with the fused Adam."""
    _loop(model, task, _indexed(task), _logits_loss, fused=True)


# Other trainers, where they are installed


@contextlib.contextmanager
def _quiet():
    """Neither warnings, log lines nor progress bars of another library."""
    old = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        contextlib.redirect_stdout(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
    logging.disable(old)


def pythae_trainer(model: VAE, task: Task) -> None:
    """pythae's own VAE, loss and BaseTrainer around our layers, images in memory."""
    with _quiet():
        from pythae.data.datasets import BaseDataset
        from pythae.models import VAE as PythaeVAE
        from pythae.models import VAEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainer, BaseTrainerConfig

        class Encoder(BaseEncoder):
            def __init__(self):
                super().__init__()
                self.body, self.to_mu = model.body, model.to_mu
                self.to_logvar = model.to_logvar

            def forward(self, x):
                h = self.body(x.flatten(1))
                return ModelOutput(
                    embedding=self.to_mu(h), log_covariance=self.to_logvar(h)
                )

        class Decoder(BaseDecoder):
            def __init__(self):
                super().__init__()
                self.layers = model.decoder

            def forward(self, z):
                white = torch.sigmoid(self.layers(z)).unflatten(1, model.image_shape)
                return ModelOutput(reconstruction=white)

        images = task.images.float() / 255
        config = VAEConfig(
            input_dim=model.image_shape,
            latent_dim=model.latent_size,
            reconstruction_loss="bce",
        )
        with tempfile.TemporaryDirectory() as folder:
            trainer = BaseTrainer(
                model=PythaeVAE(config, encoder=Encoder(), decoder=Decoder()),
                train_dataset=BaseDataset(images, torch.zeros(len(images))),
                training_config=BaseTrainerConfig(
                    output_dir=folder,
                    num_epochs=task.epochs,
                    per_device_train_batch_size=task.batch_size,
                    learning_rate=RATE,
                    optimizer_cls="Adam",
                    keep_best_on_train=True,
                    seed=task.seed,
                    no_cuda=task.device.type != "cuda",
                ),
            )
            # Its copies of the model go to a folder; it must not fail on local classes.
            trainer.save_model = lambda *a, **k: None
            trainer.train()


def lightning_trainer(model: nn.Module, task: Task) -> None:
    """Lightning's Trainer, images in memory behind a DataLoader, its extras off."""
    with _quiet():
        import lightning

        class Module(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.vae = model

            def training_step(self, batch, number):
                return _logits_loss(self.vae, batch[0])

            def configure_optimizers(self):
                return torch.optim.Adam(self.parameters(), lr=RATE)

        torch.manual_seed(task.seed)
        lightning.Trainer(
            max_epochs=task.epochs,
            accelerator="gpu" if task.device.type == "cuda" else "cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), DataLoader(_in_memory(task), task.batch_size, shuffle=True))
    model.to(task.device)


# The floor


def multiply(
    model: VAE, steps: int, batch_size: int, device: torch.device | str = "cpu"
) -> None:
    """Only the products of matrices that a training step cannot do without.

    A layer (I -> O) needs one product forward, one for the gradient of its weights and,
    unless it is the first, one for the gradient of its input.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    products = []
    for number, layer in enumerate(layers):
        o, i = layer.weight.shape
        shapes = [(batch_size, i, o), (o, batch_size, i)]
        shapes += [(batch_size, o, i)] * (number > 0)
        for rows, inner, columns in shapes:
            a = torch.randn(rows, inner, device=device)
            b = torch.randn(inner, columns, device=device)
            products.append((a, b, torch.empty(rows, columns, device=device)))
    for _ in range(steps):
        for a, b, out in products:
            torch.mm(a, b, out=out)


FIT = "`fit` of the course"
LADDER = {
    "the usual example": usual_example,
    "+ logits in the loss": logits_example,
    "+ images in memory": tensor_loader,
    "+ no DataLoader": indexed,
    "+ fused Adam": indexed_fused,
    FIT: course_fit,
    "`fit`, reduced precision": course_fit_reduced,
}
FLOOR = "floor: matrix products only"


def programs() -> dict[str, Callable]:
    """All programs that can run here, by their names in the tables."""
    found = dict(LADDER)
    if find_spec("pythae"):
        found["pythae's trainer"] = pythae_trainer
    if find_spec("lightning"):
        found["Lightning's trainer"] = lightning_trainer
    return found


def rounds(names: list[str], count: int) -> list[list[str]]:
    """The order in each round, so that no program always follows the same machine state."""
    starts = [shift * 2 % len(names) for shift in range(count)]
    return [names[start:] + names[:start] for start in starts]
