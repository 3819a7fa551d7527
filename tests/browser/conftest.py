"""The whole service on this machine, and a real browser that looks at it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from shared_service import SharedService

from curation.database import create_database_engine
from winnow.data_folder import DataFolder, StackAddress
from winnow.stack import Stack, StackOptions

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# Far above what is usual, for machines that are busy with other things.
PATIENCE_MILLISECONDS = 60_000


@pytest.fixture(scope="session")
def service() -> Iterator[SharedService]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium; install it with: apt-get install chromium")
    folder = Path(tempfile.mkdtemp(prefix="winnow-browser-"))
    # PostgreSQL runs as another user where the tests run as root.
    folder.chmod(0o755)
    os.environ.setdefault("WINNOW_GRACE_SECONDS", "2")
    with Stack(StackOptions(data=DataFolder(folder / "data"))) as stack:
        address = stack.start()
        assert stack.database_url is not None
        engine = create_database_engine(stack.database_url)
        yield SharedService(address.server, engine)
        engine.dispose()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def address(service: SharedService) -> StackAddress:
    """Where the service answers, and a key to a workspace that nobody else has been in."""
    return service.new_workspace()


# Not for longer than the module: it keeps an event loop running in this thread, in which other
# modules' tests could run none of their own.
@pytest.fixture(scope="module")
def browser(service: SharedService) -> Iterator[Browser]:
    assert service
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: StackAddress) -> Iterator[Page]:
    """A page on which somebody has signed in; it fails on what the policy or a script stops."""
    context = browser.new_context(
        base_url=address.server, viewport={"width": 1280, "height": 900}, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda message: faults.append(message.text) if "Security Policy" in message.text else None,
    )
    page.goto("/")
    page.get_by_label("API key").fill(address.api_key)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Jobs", level=1).wait_for()
    yield page
    context.close()
    assert faults == []
