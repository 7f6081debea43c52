"""The training loop of lesson 04, with a progress bar, a record and clear failures."""

import math
from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from vae_helpers.pixels import need_tensor, remember_unit_interval, to_unit_interval
from vae_helpers.progress import progress
from vae_helpers.runtime import release_memory


def warmup_cosine(fraction: float, warmup: float = 0.1) -> float:
    """Factor on the learning rate: a linear rise, then half a cosine down to 0.

    Args:
        fraction: share of the training that is done, in [0, 1].
        warmup: share of the training in which the factor rises from 0 to 1.

    Source:
        Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. 5, one cycle. Taught in
        lesson 01.
    """
    if fraction < warmup:
        return fraction / warmup
    return 0.5 * (1 + math.cos(math.pi * (fraction - warmup) / (1 - warmup)))


class Interrupted(KeyboardInterrupt):
    """A training was stopped by hand; the text says what is left of it.

    It ends the cell, and the cells that wait behind it: a training that was cut short
    must not pass for a whole one. `last_history` gives the record so far.
    """

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, without the lines of the loop."""
        return [str(self)]


_steps_done: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
_last: list["History"] = []


def last_history() -> "History":
    """The record of the newest training, also of one that was interrupted.

    Raises:
        LookupError: nothing was trained yet.
    """
    if not _last:
        raise LookupError("nothing was trained yet in this session")
    return _last[0]


def _begin(model: nn.Module, history: "History") -> None:
    """Keep the record in reach; say it when a model is trained further."""
    _last[:] = [history]
    if done := _steps_done.get(model):
        print(
            f"This model has been trained for {done:,} steps already; training goes on "
            "from there. To start anew, run the cell that builds it."
        )


def _end(model: nn.Module, done: int) -> None:
    _steps_done[model] = _steps_done.get(model, 0) + done


def _stopped(done: int, steps: int) -> Interrupted:
    return Interrupted(
        f"Stopped by hand after {done:,} of {steps:,} steps. The model keeps the weights "
        "it has; training.last_history() is the record so far."
    )


class History:
    """What `fit` recorded: `history.steps` and, for each name, a list as long.

    The terms of the loss are means over the steps since the last report, in nats per
    image; whatever `on_report` returned is kept under its own names.

    Attributes:
        steps: number of optimiser steps done at each report.
        interrupted: True when the training was stopped by hand.
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: dict[str, list[float]] = {}
        self.interrupted = False

    def add(self, step: int, **numbers: float) -> None:
        """Append one report."""
        if self.steps and set(numbers) != set(self.values):
            raise ValueError(f"need {sorted(self.values)}, got {sorted(numbers)}")
        self.steps.append(step)
        for name, number in numbers.items():
            self.values.setdefault(name, []).append(number)

    def __getitem__(self, name: str) -> list[float]:
        if not self.values:
            why = " before its first report" if self.interrupted else ""
            raise KeyError(f"nothing was recorded: the training stopped{why}")
        if name not in self.values:
            raise KeyError(f"{name!r} was not recorded; there are {list(self.values)}")
        return self.values[name]

    def __repr__(self) -> str:
        if not self.steps:
            return "History(empty)"
        newest = ", ".join(f"{n} {v[-1]:.4g}" for n, v in self.values.items())
        stopped = ", stopped by hand" if self.interrupted else ""
        return f"History({len(self.steps)} reports, step {self.steps[-1]:,}: {newest}{stopped})"

    def last(self) -> str:
        """The newest loss, for the progress bar."""
        return f"loss {self['loss'][-1]:.1f} nats" if self.steps else ""


def _need_enough(
    images: Tensor, batch_size: int, steps: int, report_every: int = 1
) -> None:
    need_tensor(images, "need images (N, C, H, W)")
    if len(images) < batch_size:
        raise ValueError(
            f"need {batch_size} images for a batch, got {len(images)}; give fewer to a "
            "batch: batch_size=..."
        )
    if min(steps, batch_size, report_every) < 1:
        raise ValueError(
            "need steps, batch_size and report_every of 1 or more, got "
            f"{steps}, {batch_size} and {report_every}"
        )
    if images.dtype != torch.uint8:
        to_unit_interval(images)  # refuses what is not in [0, 1], once for all batches


def _diverged(values: dict[str, float], step: int) -> str:
    what = " and ".join(f"{name!r} became {v}" for name, v in values.items())
    return (
        f"{what} at step {step}. Usual causes, in the order to check: logvar grew without "
        "bound (exp overflows above 88), log(0), NaN in the data, a learning rate that is "
        "too high. The weights are spoilt: build the model anew before you train again."
    )


def _means(pending: list[dict[str, Tensor]], step: int) -> dict[str, float]:
    """Mean of each term over the pending steps, the last of which was number `step`."""
    names = list(pending[0])
    table = torch.stack([torch.stack([t[n] for n in names]) for t in pending]).cpu()
    bad = ~table.isfinite()
    if bad.any():
        row = int(bad.any(1).nonzero()[0])
        # The whole is not finite when a part is not: name the parts if there are any.
        found = [n for n, b in zip(names, bad[row], strict=True) if b]
        found = [n for n in found if n != "loss"] or found
        values = {n: table[row, names.index(n)].item() for n in found}
        raise FloatingPointError(_diverged(values, step - len(pending) + row + 1))
    return dict(zip(names, table.mean(0).tolist(), strict=True))


def fit(
    model: nn.Module,
    images: Tensor,
    loss_fn: Callable[[nn.Module, Tensor], dict[str, Tensor]],
    *,
    steps: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    schedule: Callable[[float], float] | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    report_every: int = 100,
    on_report: Callable[[nn.Module], dict[str, float]] | None = None,
    label: str = "training",
) -> History:
    """Train a model with Adam on random batches and record the loss and its terms.

    Args:
        model: trained in place; it is moved to the device.
        images: (N, C, H, W) uint8, or floats in [0, 1]; moved to the device as they are.
        loss_fn: called as loss_fn(model, x) with x (batch_size, C, H, W) in [0, 1];
            returns {"loss": ..., other terms}, scalars in nats per image, lower is
            better. Only "loss" is minimised.
        steps: optimiser steps, one batch each.
        batch_size: images in a batch. Each epoch shuffles anew and leaves out the last
            images that do not fill a batch.
        lr: learning rate of Adam.
        schedule: gets the share of steps done, in [0, 1), and returns a factor on lr.
        seed: seeds the order of the images and the noise drawn in loss_fn.
        device: where to train; None keeps the model where it is.
        report_every: steps between two entries of the history.
        on_report: called as on_report(model) at each entry; its numbers join the entry.
            It may draw random numbers: they do not change the training.
        label: shown beside the progress bar.

    Returns:
        The `History`.

    Raises:
        ValueError: not a tensor, fewer images than a batch, or pixels outside [0, 1].
        Interrupted: stopped by hand. The model keeps its weights, `last_history` has
            the record.
        FloatingPointError: a term is no longer finite; the message names term and step.

    Source:
        Kingma & Ba 2015 (arXiv:1412.6980) for Adam. Taught in lesson 04.
    """
    _need_enough(images, batch_size, steps, report_every)
    device = torch.device(device or next(model.parameters()).device)
    model.to(device).train()
    images, dtype = images.to(device), next(model.parameters()).dtype
    if images.is_floating_point():
        images = images.to(dtype)
    fused = device.type in ("cpu", "cuda")
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=fused)
    gpus = [device] if device.type == "cuda" else []
    torch.manual_seed(seed)
    order_generator = torch.Generator().manual_seed(seed)
    batches_per_epoch = len(images) // batch_size
    history, pending, done = History(), [], 0
    _begin(model, history)
    try:
        for step in progress(steps, label, history.last):
            position = step % batches_per_epoch
            if position == 0:
                order = torch.randperm(len(images), generator=order_generator)
                order = order.to(device)
            index = order[position * batch_size : (position + 1) * batch_size]
            if schedule is not None:
                optimizer.param_groups[0]["lr"] = lr * schedule(step / steps)
            x = images[index]
            # Floats were checked above. A check in every step would stop a GPU.
            is_whole = x.dtype == torch.uint8
            x = to_unit_interval(x) if is_whole else remember_unit_interval(x)
            if x.dtype != dtype:  # a model in double or half precision
                x = remember_unit_interval(x.to(dtype))
            terms = loss_fn(model, x)
            optimizer.zero_grad()
            terms["loss"].backward()
            optimizer.step()
            pending.append({name: term.detach() for name, term in terms.items()})
            done = step + 1
            if (step + 1) % report_every == 0 or step + 1 == steps:
                numbers = _means(pending, step + 1)
                pending = []
                if on_report is not None:
                    with torch.random.fork_rng(gpus):
                        numbers |= on_report(model)
                history.add(step + 1, **numbers)
    except KeyboardInterrupt:
        history.interrupted = True
        raise _stopped(done, steps) from None
    finally:
        _end(model, done)
    release_memory()
    return history


def train_autoencoder(
    model: nn.Module,
    images: Tensor,
    *,
    steps: int,
    lr: float = 3e-3,
    batch_size: int = 128,
    seed: int = 0,
    label: str = "training",
) -> list[float]:
    """Train x -> x with the squared error, summed over pixels, mean over the batch.

    Args:
        model: maps (B, C, H, W) to the same shape; trained in place on its device.
        images: (N, C, H, W) uint8, or floats in [0, 1].
        steps, lr, batch_size, seed: of Adam, with `warmup_cosine` on the rate.
        label: shown beside the progress bar.

    Returns:
        The loss of each step, squared error per image; lower is better.

    Raises:
        ValueError: not a tensor, fewer images than a batch, or pixels outside [0, 1].
        FloatingPointError: the loss is no longer finite; the message names the step.
        Interrupted: stopped by hand. The model keeps its weights, `last_history` has
            the losses.

    Source:
        Taught in lesson 01.
    """
    _need_enough(images, batch_size, steps)
    device, dtype = next(model.parameters()).device, next(model.parameters()).dtype
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(seed)
    history, losses = History(), []
    history.values["loss"] = losses
    _begin(model, history)
    try:
        for step in progress(steps, label):
            index = torch.randint(len(images), (batch_size,), generator=generator)
            x = to_unit_interval(images[index].to(device)).to(dtype)
            loss = ((model(x) - x) ** 2).flatten(1).sum(1).mean()
            optimizer.param_groups[0]["lr"] = lr * warmup_cosine(step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            history.steps.append(step + 1)
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(_diverged({"loss": losses[-1]}, step + 1))
    except KeyboardInterrupt:
        history.interrupted = True
        raise _stopped(len(losses), steps) from None
    finally:
        _end(model, len(losses))
    return losses
