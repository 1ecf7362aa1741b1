"""Where a handler failed, or hangs: a few frames as `file:line in function`, and never a line of code or a value."""

from collections.abc import Iterator
from functools import lru_cache
from traceback import walk_stack, walk_tb
from types import FrameType

from shared.settings import PROJECT_FOLDER

LAST_FRAMES = 3
MAX_TRACE_CHARACTERS = 600
RUNNER = tuple(
    str(PROJECT_FOLDER / "shared" / part) for part in ("running", "handlers/registry.py", "handlers/built_in.py")
)

Place = tuple[str, int, str]  # a file, a line and a function


def trace_of(exc: BaseException) -> str | None:
    """Return the last frames of an exception, the innermost last, and before them the last one of own code."""
    return _short([_place(frame, line) for frame, line in walk_tb(exc.__traceback__)])


def trace_of_thread(frame: FrameType | None) -> str | None:
    """Return where a thread is at present, in the same form."""
    return _short([_place(each, line) for each, line in walk_stack(frame)][::-1]) if frame is not None else None


def _place(frame: FrameType, line: int) -> Place:
    return frame.f_code.co_filename, line, frame.f_code.co_name


def _short(places: list[Place]) -> str | None:
    """Choose and write the frames after the last one of the runner."""
    inside = next((at for at in range(len(places), 0, -1) if places[at - 1][0].startswith(RUNNER)), 0)
    own = places[inside:]
    last = own[-LAST_FRAMES:]
    if not any(map(_is_own_code, last)):
        last = [*[place for place in own if _is_own_code(place)][-1:], *last]
    lines = "\n".join(_written(last))
    return lines[-MAX_TRACE_CHARACTERS:] or None


@lru_cache(maxsize=1)
def _libraries() -> tuple[str, ...]:
    """Return the folders of the libraries."""
    import sysconfig  # it takes 2 ms, and a start that finds nothing due has no trace to write

    return tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _is_own_code(place: Place) -> bool:
    return "site-packages" not in place[0] and not place[0].startswith((*_libraries(), "<"))


def _written(places: list[Place]) -> Iterator[str]:
    for file, line, function in places:
        yield f"{_short_name(file)}:{line} in {function}"


def _short_name(file: str) -> str:
    """Return the path within the project, or within the libraries."""
    for root in (str(PROJECT_FOLDER), *_libraries()):
        if file.startswith(f"{root}/"):
            return file.removeprefix(f"{root}/").rpartition("site-packages/")[2]
    return file.rpartition("site-packages/")[2]
