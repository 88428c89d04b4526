"""Prefect's pages, as a person finds the way through them: log in, fill in, look."""

import contextlib
import io
import json
import time
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from tests.support.browser import Page, PageError

WINDOW = (1400, 1000)
LOOK_SECONDS = 3.0  # for a page that may be empty
PATIENCE_SECONDS = 120.0  # with a server that shares its cores with what it started


class Shown(NamedTuple):
    """What a page showed."""

    text: str
    pictures: int  # that were loaded
    links: dict[str, str]  # address by text, of those that leave the pages of Prefect


class Ui:
    """The pages of one server."""

    def __init__(self, page: Page, address: str, pictures: Path) -> None:
        self.page = page
        self.address = address
        self._pictures = pictures

    def log_in(self, auth: str) -> None:
        """Give the string that opens the pages."""
        self.page.open(f"{self.address}/login")
        self.page.type("input[type=password]", auth)
        self.page.click("button[type=submit]", "Login")
        self.page.wait("location.pathname.startsWith('/dashboard')", what="the dashboard")

    def open_form(self, flow: str, deployment: str) -> None:
        """Go from the list of deployments to the form of one."""
        row = (
            "[...document.querySelectorAll('tr')].find(row => "
            f"row.innerText.includes({json.dumps(deployment)}) && "
            f"row.innerText.split('\\n').includes({json.dumps(flow)}))?.querySelector('a')"
        )
        self.page.open(f"{self.address}/deployments")
        self.page.wait(f"!!{row}?.innerText", what=f"the deployment {flow}/{deployment}")
        self.page.evaluate(f"{row}.click()")
        self.page.wait("location.pathname.startsWith('/deployments/deployment/')")
        self.page.click("button", "Run")
        self.page.click("a", "Custom run")
        self.page.wait_for_text("Run Name")

    def fill(self, field: str, words: str) -> None:
        """Type into a field until it keeps the words: a form that is still drawn may drop them.

        Args:
            field: Expression that finds it on the page.
            words: What is to stand in it.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.page.evaluate(f"{field}?.value") != words:
            if time.monotonic() > deadline:
                raise PageError(f"{field} does not keep {words!r}.")
            self.page.wait(f"!!{field}", what=field)
            self.page.evaluate(f"{field}.id = 'filled'")
            self.page.type("#filled", words)
            self.page.evaluate(f"{field}?.removeAttribute('id')")
            self.settle()

    def submit(self) -> str:
        """Send the form, and return the id of the run, which its deployment's page shows first."""
        self.page.click("button", "Submit")
        self.page.wait(
            "!location.pathname.endsWith('/run')", seconds=PATIENCE_SECONDS, what="the form's end"
        )
        link = "document.querySelector('a[href*=\"/runs/flow-run/\"]')?.href"
        address = self.page.wait(link, seconds=PATIENCE_SECONDS, what="the run")
        return str(address).rpartition("/")[2]

    def open_run(self, run: str) -> None:
        """Go to the page of a run."""
        self.page.open(f"{self.address}/runs/flow-run/{run}")
        self.page.wait_for_text("Job Variables")  # the last of its tabs

    def open_tab(self, name: str) -> None:
        """Open a tab of the page of a run."""
        self.page.click("li.p-tab", name)

    def state_of(self, run: str) -> str:
        """Return the state that the page of a run shows."""
        self.open_run(run)
        badge = "document.querySelector('.state-badge')?.innerText"
        return str(self.page.wait(badge, what="the state of the run"))

    def bar(self, key: str) -> str | None:
        """Return what the page of a progress artifact says; None where there is none yet."""
        self.page.open(f"{self.address}/artifacts/key/{key}")
        with contextlib.suppress(PageError):
            self.page.wait_for_text("Created", seconds=LOOK_SECONDS)
            return next(line for line in self.page.text().splitlines() if ": " in line)
        return None

    def artifact(self, run: str, key: str) -> Shown:
        """Open an artifact by the page of its run, and return what it shows."""
        self.open_run(run)
        self.open_tab("Artifacts")
        self.page.click("a[href*='/artifacts/']", key)
        self.page.wait("location.pathname.startsWith('/artifacts/')", what=key)
        self.page.wait_for_text("Show raw data")
        self.settle()
        self.page.wait(
            "[...document.images].every(each => each.complete)", what=f"the pictures of {key}"
        )
        return self.shown()

    def shown(self) -> Shown:
        """Return what the page shows now."""
        links = self.page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('a[href^=http]')]"
            ".filter(each => !each.href.startsWith(location.origin))"
            ".map(each => [each.innerText, each.href]))"
        )
        pictures = self.page.evaluate(
            "[...document.images].filter(each => each.naturalWidth > 0).length"
        )
        return Shown(self.page.text(), pictures, links)

    def settle(self) -> None:
        """Give the page time to draw what it has been told."""
        self.page.evaluate("new Promise(drawn => setTimeout(drawn, 1500))")

    def graph(self) -> Image.Image:
        """Return the picture of the run graph: it is drawn, and holds no text."""
        box = self.page.wait(
            "(() => {const box = document.querySelector('canvas')?.getBoundingClientRect();"
            "return box && box.height > 100 && [box.x, box.y, box.width, box.height]})()",
            what="the run graph",
        )
        path = self._pictures / "graph.png"
        self.page.photograph(path, clip=tuple(box))
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            picture.load()
        path.unlink()
        return picture

    def photograph(self, name: str, *, height: int = WINDOW[1]) -> None:
        """Keep what the window shows as a picture of the documentation."""
        self.page.resize(WINDOW[0], height)
        self.settle()
        path = self._pictures / f"{name}.png"
        self.page.photograph(path)
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            few = picture.convert("RGB").quantize(colors=128, dither=Image.Dither.NONE)
        few.save(path, "PNG", optimize=True)
        self.page.resize(*WINDOW)
