"""Every command, option, setting, log line and file that the documentation names exists."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path

import click
import pytest

from shared.settings import PROJECT_FOLDER
from watchkeeper.cli.main import watchkeeper
from watchkeeper.deploy.functions_table import read_functions

PAGES = [PROJECT_FOLDER / "README.md", *sorted((PROJECT_FOLDER / "docs").glob("*.md"))]
DECISIONS = sorted((PROJECT_FOLDER / "docs/decisions").glob("*.md"))
EVERY_FILE = [*PAGES, *DECISIONS, PROJECT_FOLDER / "monitoring/README.md"]
EVERY_FILE += [PROJECT_FOLDER / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")]
SCRIPT = PROJECT_FOLDER / "deploy_functions.sh"
CODE = re.compile(r"^[ ]*```[^\n]*\n(.*?)^[ ]*```|`([^`]+)`", re.DOTALL | re.MULTILINE)
END = re.compile(r"[|;&()<>]+")  # of a command, in a shell
# Words that look like settings: placeholders, settings of the platform or of another program, names of an example.
NO_SETTINGS = {"EXECUTION_KEY", "FIRESTORE_EMULATOR_HOST", "JOB_ID", "OLD_URL", "PROJECT_NUMBER", "TRACE_ID"}
NO_SETTINGS |= {"MOST_ROUNDS", "OPEN_DIALOG", "TOO_MUCH", "UPDATE_MESSAGE", "WATCHKEEPER_SETTINGS"}
NO_SETTINGS |= {"DEPLOY_PROJECT", "DEPLOY_PROVIDER", "DEPLOY_REGION"}  # variables of GitHub

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code(page: Path) -> Iterator[str]:
    """Yield each line of code, and each piece of code within a sentence."""
    for block, piece in CODE.findall(page.read_text(encoding="utf-8")):
        yield from block.replace("\\\n", " ").splitlines() if block else [" ".join(piece.split())]


def commands(text: str, program: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of a program."""
    for match in re.finditer(rf"(?<![\w-]){re.escape(program)}(?=\s)(.*)", text):
        lexer = shlex.shlex(match[1], posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = []
        for word in lexer:
            if END.fullmatch(word):
                break
            words.append(word)
        yield words


def refuse_unknown(command: click.Command, words: list[str]) -> None:
    """Read the words as the command line would, without running or opening anything. Raises click.UsageError."""
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        found = command.get_command(click.Context(command), name)
        if found is None:
            raise click.UsageError(f"unknown command {name}")
        command = found
    command.make_parser(click.Context(command)).parse_args(list(words))


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether the file of a link exists, and has the heading that the link names."""
    name, _, anchor = link.partition("#")
    file = page.parent / name if name else page
    return file.exists() and (not anchor or anchor in anchors(file))


@cache
def anchors(page: Path) -> set[str]:
    """Return how links name the headings of a page: in lower case, a hyphen for a space, without punctuation."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def usage() -> tuple[set[str], set[str]]:
    """Return the verbs and options of the deploy script."""
    text = subprocess.run(["bash", SCRIPT, "--help"], capture_output=True, text=True, check=True, timeout=30).stdout
    return set(re.findall(r"^  ([a-z]+) {2,}\S", text, re.MULTILINE)), set(re.findall(r"^  (--[a-z-]+)", text, re.M))


@every_page
def test_commands_and_their_options_exist(page: Path) -> None:
    """A copied `watchkeeper` command causes no usage error."""
    wrong = []
    for words in (words for text in code(page) for words in commands(text, "watchkeeper")):
        try:
            refuse_unknown(watchkeeper, words)
        except click.UsageError as exc:
            wrong.append(f"watchkeeper {shlex.join(words)}: {exc.format_message()}")

    assert wrong == []


def test_an_unknown_command_or_option_is_found() -> None:
    """The check above can fail: at any level, and for options."""
    for line in (
        "watchkeeper jobs lst",
        "watchkeeper tock",
        "watchkeeper tick --dry",
        "watchkeeper jobs show --jason x",
    ):
        (words,) = commands(line, "watchkeeper")
        with pytest.raises(click.UsageError):
            refuse_unknown(watchkeeper, words)


@every_page
def test_verbs_and_options_of_the_deploy_script_exist(page: Path) -> None:
    """A page names verbs and options as the script's own usage does, and functions as the table does."""
    verbs, options = usage()
    functions = {function.name for function in read_functions({})}

    for text in code(page):
        for words in commands(text, SCRIPT.name):
            after_only = words[words.index("--only") + 1 :] if "--only" in words else []
            only = set(takewhile(lambda word: not word.startswith("-"), after_only))

            assert words[0] in verbs | options | {"VERB"}, text
            assert {word for word in words if word.startswith("--")} <= options, text
            assert only <= functions, text


@every_page
def test_settings_exist(page: Path) -> None:
    """A setting that a page names can be found, with its comment, in .env.example."""
    example = (PROJECT_FOLDER / ".env.example").read_text(encoding="utf-8")
    known = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))

    named = {name for text in code(page) for name in re.findall(r"(?<!\$)\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text)}

    assert named - known - NO_SETTINGS == set()


@every_page
def test_log_lines_exist(page: Path) -> None:
    """The code writes every log action that a page searches for."""
    folders = (PROJECT_FOLDER / name for name in ("shared", "functions"))
    source = "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))

    named = {name for text in code(page) for name in re.findall(r'jsonPayload\.action="(\w+)"', text)}

    assert {name for name in named if f'"{name}"' not in source} == set()


@every_page
def test_files_of_tests_exist(page: Path) -> None:
    """A page that sends a reader, or a promise, to tests names files that are there."""
    named = {path for text in code(page) for path in re.findall(r"\btests/[\w./-]+", text)}

    assert {path for path in named if not (PROJECT_FOLDER / path).exists()} == set()


@pytest.mark.parametrize("page", EVERY_FILE, ids=lambda page: str(page.relative_to(PROJECT_FOLDER)))
def test_links_lead_somewhere(page: Path) -> None:
    """No link within the project names a file or a heading that is not there."""
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if "://" not in link and not leads_somewhere(page, link)] == []


def test_a_dead_link_is_found() -> None:
    """The check above can fail: for a file, and for a heading of this page or of another one."""
    for link in ("docs/JOB.md", "#begin", "docs/JOBS.md#when-it-walks"):
        assert not leads_somewhere(PROJECT_FOLDER / "README.md", link)


def test_every_decision_is_listed() -> None:
    """ARCHITECTURE.md links each page of docs/decisions."""
    text = (PROJECT_FOLDER / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")

    assert [page.name for page in DECISIONS if f"(decisions/{page.name})" not in text] == []
