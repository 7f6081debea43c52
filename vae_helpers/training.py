"""The training loop of lesson 04, with a progress bar, a record and clear failures."""

import html
import math
import sys
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from tqdm import tqdm

from vae_helpers.data import remember_unit_interval, to_unit_interval
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


class _NotebookBar:
    """One output that is updated in place and ends as a single line of text."""

    def __init__(self, total: int, label: str) -> None:
        from IPython.display import display

        self.total, self.label, self.start = total, html.escape(label), time.monotonic()
        self.handle = display(self._page(0), raw=True, display_id=True)

    def _page(self, done: int, note: str = "") -> dict[str, str]:
        spent = time.monotonic() - self.start
        left = f", {spent * (self.total - done) / done:.0f} s left" if done else ""
        text = f"{self.label}: {done:,} of {self.total:,} steps{left}{note}"
        bar = f'<progress max="{self.total}" value="{done}" style="width: 20em"></progress>'
        return {"text/plain": text, "text/html": f"<div>{bar} {text}</div>"}

    def update(self, done: int, note: str) -> None:
        self.handle.update(self._page(done, f"; {note}" if note else ""), raw=True)

    def close(self, done: int) -> None:
        line = f"{self.label}: {done:,} of {self.total:,} steps done."
        self.handle.update({"text/plain": line}, raw=True)


class _TerminalBar:
    """tqdm on a terminal; nothing at all where the output is a file."""

    def __init__(self, total: int, label: str) -> None:
        quiet = not sys.stderr.isatty()
        self.bar = tqdm(total=total, desc=label, leave=False, disable=quiet)

    def update(self, done: int, note: str) -> None:
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self, done: int) -> None:
        self.bar.close()


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return bool(shell) and hasattr(shell, "kernel")


def progress(
    steps: int, label: str = "training", note: Callable[[], str] = str
) -> Iterator[int]:
    """Count 0, 1, ..., steps - 1 and show a bar that moves four times a second.

    Args:
        steps: how many.
        label: what is being done, shown before the bar.
        note: called when the bar moves; its text is shown behind it.

    In a notebook the bar ends as one line of text, so a saved notebook holds no trace
    of it; on a terminal it disappears; elsewhere nothing is printed.
    """
    bar = (_NotebookBar if _in_notebook() else _TerminalBar)(steps, label)
    done, shown = 0, time.monotonic()
    try:
        for step in range(steps):
            yield step
            done = step + 1
            if time.monotonic() - shown > 0.25:
                shown = time.monotonic()
                bar.update(done, note())
    finally:
        bar.close(done)


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
        if name not in self.values:
            raise KeyError(f"{name!r} was not recorded; there are {list(self.values)}")
        return self.values[name]

    def last(self) -> str:
        """The newest loss, for the progress bar."""
        return f"loss {self['loss'][-1]:.1f} nats" if self.steps else ""


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
        what = " and ".join(f"{name!r} became {v}" for name, v in values.items())
        raise FloatingPointError(
            f"{what} at step {step - len(pending) + row + 1}. Usual causes, in the order "
            "to check: logvar grew without bound (exp overflows above 88), log(0), NaN in "
            "the data, a learning rate that is too high. The weights are spoilt: build "
            "the model anew before you train again."
        )
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
        The `History`. When the kernel is interrupted the model keeps its weights and
        the history so far is returned.

    Raises:
        ValueError: fewer images than a batch, or pixels outside [0, 1].
        FloatingPointError: a term is no longer finite; the message names term and step.

    Source:
        Kingma & Ba 2015 (arXiv:1412.6980) for Adam. Taught in lesson 04.
    """
    if len(images) < batch_size:
        raise ValueError(f"need {batch_size} images for a batch, got {len(images)}")
    if images.dtype != torch.uint8:
        to_unit_interval(images)  # refuses what is not in [0, 1], once for all batches
    device = torch.device(device or next(model.parameters()).device)
    model.to(device).train()
    images = images.to(device)
    fused = device.type in ("cpu", "cuda")
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=fused)
    gpus = [device] if device.type == "cuda" else []
    torch.manual_seed(seed)
    order_generator = torch.Generator().manual_seed(seed)
    batches_per_epoch = len(images) // batch_size
    history, pending = History(), []
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
            terms = loss_fn(model, x)
            optimizer.zero_grad()
            terms["loss"].backward()
            optimizer.step()
            pending.append({name: term.detach() for name, term in terms.items()})
            if (step + 1) % report_every == 0 or step + 1 == steps:
                numbers = _means(pending, step + 1)
                pending = []
                if on_report is not None:
                    with torch.random.fork_rng(gpus):
                        numbers |= on_report(model)
                history.add(step + 1, **numbers)
    except KeyboardInterrupt:
        history.interrupted = True
        print(
            f"Stopped by hand after {step:,} of {steps:,} steps. The model keeps the "
            f"weights it has; the history so far is returned."
        )
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
        images: (N, C, H, W) uint8.
        steps, lr, batch_size, seed: of Adam, with `warmup_cosine` on the rate.
        label: shown beside the progress bar.

    Returns:
        The loss of each step, squared error per image; lower is better.

    Source:
        Taught in lesson 01.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for step in progress(steps, label):
        index = torch.randint(len(images), (batch_size,), generator=generator)
        x = to_unit_interval(images[index].to(device))
        loss = ((model(x) - x) ** 2).flatten(1).sum(1).mean()
        optimizer.param_groups[0]["lr"] = lr * warmup_cosine(step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
