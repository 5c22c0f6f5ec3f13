"""`fakeproc top --web`: in a real browser, and for no one who lacks the secret."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import CommandLine

from fakeproc import Guest

PATIENCE_S = 60.0  # for a busy machine; what is awaited comes in a second

# Pixels from the corner: a line of the map, the name of a row in it, a cell of it.
LINE, NAME, CELL = 79, 20, 500


def eventually(condition: Callable[[], object]) -> None:
    last = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.05)


@dataclass
class Served:
    """A view that is served, and its address with the secret."""

    address: str

    @property
    def bare(self) -> str:
        return self.address.partition("?")[0]


@pytest.fixture
def served(fakeproc_guest: Guest, cli: CommandLine) -> Iterator[Served]:
    command = [sys.executable, "-m", "fakeproc", "top", "--web", "--interval", "0.2"]
    with subprocess.Popen(
        [*command, str(fakeproc_guest.root)],
        env=cli.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield Served(process.stdout.readline().strip())
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()


def test_without_the_secret_nothing_is_served(served: Served) -> None:
    for path in ("", "?token=", "?token=wrong", "ws", "static/js/textual.js"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(served.bare + path)
        assert refused.value.code == 403
        refused.value.close()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", served.address)


def test_a_click_in_a_browser_moves_a_channel(
    served: Served, fakeproc_guest: Guest, tmp_path: Path
) -> None:
    if shutil.which("chromedriver") is None or shutil.which("chromium") is None:
        pytest.skip("this machine has no chromium, or no chromedriver: install chromium-driver")
    from selenium import webdriver  # noqa: PLC0415 - only where a browser is
    from selenium.webdriver.common.action_chains import ActionChains  # noqa: PLC0415

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "headless",
        "no-sandbox",  # which root cannot have
        "disable-gpu",
        "disable-background-networking",
        "window-size=1200,900",
        f"user-data-dir={tmp_path}",
    ):
        options.add_argument(f"--{argument}")
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as browser:
        before = fakeproc_guest.state().irqs
        browser.get(served.address)
        assert "token" not in browser.current_url
        eventually(
            lambda: "-first-byte" in browser.execute_script("return document.body.className")
        )
        screen = browser.find_element("css selector", ".xterm-screen")

        def click(x: int) -> None:
            """In the line of the first interrupts, however high the font's lines are."""
            left, top = -screen.size["width"] // 2, -screen.size["height"] // 2
            actions = ActionChains(browser)
            actions.move_to_element_with_offset(screen, left + x, top + LINE)
            actions.click().perform()

        def moved() -> dict[int, tuple[int, ...]]:
            now = fakeproc_guest.state().irqs
            return {
                irq: it.affinity for irq, it in now.items() if it.affinity != before[irq].affinity
            }

        def is_moved() -> bool:
            click(NAME)
            click(CELL)
            return bool(moved())

        eventually(is_moved)
        ((irq, cpus),) = moved().items()
        assert fakeproc_guest.read(f"/proc/irq/{irq}/smp_affinity_list") == f"{cpus[0]}\n"
        assert cpus != (0,)
        severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert severe == []
