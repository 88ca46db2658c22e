"""The frontend as a user has it before them: build a graph, run it, look at it, save it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PATIENCE = 180_000
"""Milliseconds to open the frontend; the machine may be one busy core."""

ACTION = 20_000
"""Milliseconds for anything else."""

VIEWPORT = {"width": 1280, "height": 1100}

BUILD = """({nodes, links}) => {
  const made = nodes.map(({type, at, size, widgets}) => {
    const node = LiteGraph.createNode(type);
    node.pos = at;
    app.graph.add(node);
    for (const [name, value] of Object.entries(widgets ?? {})) {
      const widget = node.widgets.find((widget) => widget.name === name);
      widget.value = value;
      widget.callback?.(value);
    }
    if (size) node.setSize(size);
    return node;
  });
  for (const [from, output, to, input] of links) {
    const slot = made[from].outputs.findIndex(({name}) => name === output);
    made[from].connect(slot, made[to], input);
  }
  return made.map((node) => String(node.id));
}"""

RUN = """async () => {
  const ends = ["execution_success", "execution_error", "execution_interrupted"];
  const end = new Promise((resolve) => {
    for (const type of ends) {
      app.api.addEventListener(type, ({detail}) => resolve({type, detail}), {once: true});
    }
  });
  await app.queuePrompt(0);
  return await end;
}"""

READY = "window.app?.graph && app.extensionManager && document.querySelector('canvas')"


class Desk:
    """One open page.

    Attributes:
        page: Playwright's page.
        errors: what our modules did wrong since `clear`.
    """

    def __init__(self, browser: Any, address: str, folder: Path) -> None:
        """Open the frontend; screenshots go to the folder."""
        self.folder = folder
        self.errors: list[str] = []
        self._browser, self._address = browser, address
        self.open()

    @property
    def alive(self) -> bool:
        """Whether the browser that the page is in was not killed."""
        return self._browser.has(self.page)

    def open(self) -> None:
        """Open the frontend in a page of its own."""
        self.page = self._browser.new_page(viewport=VIEWPORT)
        self.page.set_default_timeout(ACTION)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(self._address, timeout=PATIENCE)
        self.page.wait_for_function(READY, timeout=PATIENCE)
        # The template that a first visit loads comes a little later.
        self.page.wait_for_timeout(2000)

    def _hear(self, message: Any) -> None:
        """Keep our errors: the newest frontend also misses routes that this host does not have."""
        if message.type == "error" and "codeformer" in f"{message.location} {message.text}":
            self.errors.append(message.text)

    def close(self) -> None:
        """Close the page."""
        if self.alive:
            self.page.close()

    def clear(self) -> None:
        """An empty graph at its natural size, and no errors."""
        # A cleared graph has an id of zeros, which no workflow of a user has and no load keeps.
        self.page.evaluate("app.graph.clear(); app.graph.id = crypto.randomUUID()")
        self.page.evaluate("app.nodeOutputs = {}")
        self.page.evaluate("app.canvas.ds.reset()")
        self.errors.clear()

    def build(self, nodes: list[dict[str, Any]], links: list[list[Any]]) -> list[str]:
        """Make nodes (`type`, `at`, `size`, `widgets`) and links; their ids."""
        return self.page.evaluate(BUILD, {"nodes": nodes, "links": links})

    def run(self) -> dict[str, Any]:
        """Press Run and wait for the end; an error raises with its message."""
        end = self.page.evaluate(RUN)
        if end["type"] != "execution_success":
            raise RuntimeError(end["detail"].get("exception_message", end["type"]))
        return end

    def receive(self, node: str, output: dict[str, Any]) -> None:
        """Hand a node a result as if it had run."""
        self.page.evaluate(
            "([id, output]) => app.graph.getNodeById(id).onExecuted(output)", [node, output]
        )

    def widget(self, node: str, name: str) -> Any:
        """Value of a widget of a node."""
        return self.page.evaluate(
            "([id, name]) => app.graph.getNodeById(id)"
            ".widgets.find((widget) => widget.name === name).value",
            [node, name],
        )

    def prompt(self) -> dict[str, Any]:
        """What *Export (API)* would save."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def reload(self) -> None:
        """Save the workflow and open what was saved."""
        self.page.evaluate("app.loadGraphData(JSON.parse(JSON.stringify(app.graph.serialize())))")

    def open_again(self) -> None:
        """Load the page anew, as a user who comes back to their workflow."""
        # The frontend saves an unfinished workflow a little after it changed.
        self.page.wait_for_timeout(2000)
        self.page.reload(timeout=PATIENCE)
        self.page.wait_for_function(READY, timeout=PATIENCE)

    def set_range(self, selector: str, value: float) -> None:
        """Move a slider in a panel as a pointer would."""
        self.page.locator(selector).evaluate(
            "(range, value) => { range.value = value; range.dispatchEvent(new Event('input')); }",
            value,
        )

    def set(self, setting: str, value: Any) -> None:
        """Change a setting as its dialog does."""
        self.page.evaluate(
            "([id, value]) => app.extensionManager.setting.set(id, value)", [setting, value]
        )

    def density(self, pixels: float) -> None:
        """Give the screen so many pixels for each one of the page."""
        viewport = {**VIEWPORT, "deviceScaleFactor": pixels, "mobile": False}
        session = self.page.context.new_cdp_session(self.page)
        session.send("Emulation.setDeviceMetricsOverride", viewport)
        self.page.wait_for_function("(pixels) => devicePixelRatio === pixels", arg=pixels)

    def picture(self, name: str) -> Path:
        """A screenshot to look at."""
        path = self.folder / f"{name}.png"
        self.page.screenshot(path=path)
        return path
