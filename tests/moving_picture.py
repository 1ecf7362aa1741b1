"""Takes the moving picture of the README: from a sentence in Chat to a job that ran. `make screenshots` calls it.

A real local run is talked to in a real browser; it takes up to two minutes, until the tick that runs the job.
"""

import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.screenshots import IMAGES, ZONE
from tests.support.browser import Browser
from tests.support.local_run import local_run

SENTENCE = "remind me in 1 minute to call Ada"
PICTURE = IMAGES / "from-chat-to-a-run.gif"
WIDTH, HEIGHT = 900, 620
COLOURS = 64


def main() -> None:
    """Take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        with local_run(folder, SCHEDULER_TIMEZONE=ZONE) as address, Browser() as browser:
            scenes = list(play(browser, address))
    frames = [Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS) for picture, _ in scenes]
    durations = [round(shown / timedelta(milliseconds=1)) for _, shown in scenes]
    frames[0].save(PICTURE, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    sys.stdout.write(f"docs/images/{PICTURE.name}\n")


def play(browser: Browser, address: str) -> Iterator[tuple[bytes, timedelta]]:
    """Send the sentence, confirm it, and wait for the result; yield each picture and how long it is shown."""
    browser.size(WIDTH, HEIGHT)
    browser.prefer("light")
    browser.open(f"{address}#chat")
    browser.see("No messages yet")
    for length in (0, 9, 21, len(SENTENCE)):
        browser.type(SENTENCE[:length], into="#words")
        yield browser.screenshot(), timedelta(seconds=0.5 if length < len(SENTENCE) else 1)
    browser.click("Send", within="button")
    browser.see("Shall I do this?")
    yield browser.screenshot(), timedelta(seconds=2.5)
    browser.click("Confirm", within="button")
    browser.see("Scheduled", within="#threads")
    yield browser.screenshot(), timedelta(seconds=2)
    browser.see("Snooze", within="#threads button", seconds=130)
    yield browser.screenshot(), timedelta(seconds=3)
    browser.click("Jobs", within="nav a")
    browser.see("completed", within="#rows")
    yield browser.screenshot(), timedelta(seconds=3)


if __name__ == "__main__":
    main()
