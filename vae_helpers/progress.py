"""A progress bar that leaves one line of text behind, or nothing."""

import html
import sys
import time
from collections.abc import Callable, Iterator

from tqdm import tqdm


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
