"""A picture of the top of a page, for the README: python scripts/page_picture.py PAGE PICTURE."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from lottery.report.export import BROWSERS

WIDTH, HEIGHT = 1360, 1265


def photograph(page: Path, target: Path) -> None:
    """Open a page, wait until its figures are drawn, and save what stands at its top."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"expected a browser on the path: one of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        opened = running.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        opened.goto(page.resolve().as_uri())
        opened.wait_for_function(
            "[...document.querySelectorAll('.plot')].every((p) => p.querySelector('.main-svg'))"
        )
        opened.screenshot(path=target)
        running.close()


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
