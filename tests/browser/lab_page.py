"""A notebook that is open in JupyterLab, driven by Playwright."""

import time

import pytest
from playwright.sync_api import Error

BOX = ".vae-live"  # a live figure with its controls
KERNEL = """() => {
  const session = window.jupyterapp?.shell.currentWidget?.context?.sessionContext;
  const kernel = session?.session?.kernel;
  return kernel ? [kernel.status, kernel.connectionStatus] : null;
}"""
CELLS = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const found = {pending: 0, errors: []};
  for (const cell of panel.content.model.cells) {
    if (cell.type !== 'code') continue;
    if (cell.executionCount === null && cell.sharedModel.getSource().trim())
      found.pending += 1;
    for (let i = 0; i < cell.outputs.length; i++) {
      const output = cell.outputs.get(i).toJSON();
      if (output.output_type === 'error')
        found.errors.push(output.ename + ': ' + output.evalue);
    }
  }
  return found;
}"""


def wait_until(condition, seconds: float, what: str):
    """The first true result of condition(), asked twice a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.5)
    pytest.fail(f"waited {seconds:g} s for {what}")


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page, lab: str, path: str) -> None:
        self.page, self.path = page, path
        page.goto(f"{lab}/lab/tree/{path}?token=t&reset", wait_until="domcontentloaded")
        page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=120_000)
        # The toolbar says "idle" before there is a kernel: look at the connection too.
        wait_until(lambda: self._kernel() == ["idle", "connected"], 120, "the kernel")

    def _kernel(self):
        try:
            return self.page.evaluate(KERNEL)
        except Error:  # the page is still loading
            return None

    def command(self, name: str, **arguments) -> None:
        """Start one of JupyterLab's commands without waiting for its end."""
        self.page.evaluate(
            "([name, args]) => { window.jupyterapp.commands.execute(name, args); }",
            [name, arguments],
        )

    def cells(self) -> dict:
        return self.page.evaluate(CELLS)

    def run_all(self, seconds: float = 900) -> None:
        self.command("notebook:run-all-cells")
        time.sleep(1)

        def done():
            return not self.cells()["pending"] and self._kernel()[0] == "idle"

        wait_until(done, seconds, f"all cells of {self.path}")

    def shut_down(self) -> None:
        self.command("kernelmenu:shutdown")
        time.sleep(1)
