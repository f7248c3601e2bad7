"""From the words of a command to its verb, and from whatever goes wrong to one line and an exit code."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from unweave.cli.console import Failed, debugging, one_line
from unweave.cli.own_code import import_own
from unweave.errors import UserError
from unweave.names import known

DONE, FAILED, WRONG = 0, 1, 2
"""Exit codes: done; failed while at work; asked for something that cannot be done."""

LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""PyTorch's word for tensors on pages of 2 MB, where Linux gives them to who asks."""

VERBS = {
    "fit": ("fit", "FOLDER", "your own pictures: trains, chooses, writes model, codes and page"),
    "train": ("train", "METHOD --data NAME", "train a method on a data set, one model a seed"),
    "sweep": ("sweep", "FILE.toml", "train and measure every experiment of a grid"),
    "score": ("score", "RUN", "measure trained models"),
    "report": ("report", "RUN", "write one HTML page about a run"),
    "study": ("study", "NAME --scale smoke", "run a paper's table or figure, beside what was printed"),
    "explore": ("explore", "RUN … | --demo", "a local page: move each latent, see the image follow"),
    "export": (
        "export",
        "RUN --html | --model FOLDER | --onnx FOLDER",
        "one page to mail; a model to share; ONNX files",
    ),
    "encode": ("encode", "RUN IMAGES --out codes.csv", "the codes of a folder of pictures, or of a data set"),
    "decode": ("decode", "RUN codes.csv --out FOLDER", "the pictures that codes stand for"),
    "edit": ("edit", "RUN PICTURE --set z3=1.5 --out FILE", "a picture with some of its latents changed"),
    "push": ("push", "RUN user/name", "share a model on the Hugging Face Hub"),
    "pull": ("pull", "user/name", "fetch a model from the Hugging Face Hub"),
    "results": ("results", "['select …']", "a table of all runs, or SQL over them"),
    "select": ("select", "METRIC", "which setting and which model is best, and how sure that is"),
    "list": ("lists", "methods|metrics|data|networks|studies", "what there is"),
    "data": ("data", "list|get|check NAME", "data sets: what is found, and whether it is right"),
    "cite": ("cite", "NAME …", "the publications behind methods, metrics and data sets"),
}
"""Verb -> its module, its words, what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 asked wrongly.

    A mistake is answered with one line on the standard error output; with UNWEAVE_DEBUG=1 in the environment, with the
    traceback.

    Args:
        argv: the words after ``unweave``; those of this process when None.

    >>> main(["cite", "mig"]), main(["cite", "mgi"])  # doctest: +ELLIPSIS
    @article{...
    (0, 2)
    """
    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    _speakable()
    verb = words[0]
    try:
        code = DONE
        if verb in ("-h", "--help", "help"):
            print(usage())
        elif verb == "--version":
            from unweave import __version__

            print(f"unweave {__version__}")
        else:
            with _unbroken():
                module = importlib.import_module(f"unweave.cli.{VERBS[known(verb, VERBS, 'verb')][0]}")
            with one_line_warnings(verb), _surroundings(words):
                import_own()
                code = int(module.run(words[1:]))
        sys.stdout.flush()
        return code
    except SystemExit as asked_for_help:
        return WRONG if asked_for_help.code else DONE
    except BrokenPipeError:
        # Who read the output has gone; give the interpreter's last flush somewhere harmless to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _complain(verb, "interrupted; what was kept before is whole", FAILED)
    except Failed as error:
        return _answer(verb, error, FAILED)
    except UserError as error:
        return _answer(verb if verb in VERBS else "", error, FAILED if _full(error) else WRONG)
    except Exception as error:
        if debugging():
            raise
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _complain(verb, f"nothing more can be written ({error.strerror})", FAILED)
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _complain(verb, f"{text} (UNWEAVE_DEBUG=1 shows where)", FAILED)


@contextmanager
def _unbroken() -> Iterator[None]:
    """Ctrl-C waits until libraries are loaded: interrupted halfway, some say nothing and are broken from then on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def _surroundings(words: Sequence[str]) -> Iterator[None]:
    """What a verb, and the processes that it starts, find in their environment.

    ``--data-root`` for what asks for files where nobody hands it on: rules that choose images by their labels. And
    large tensors on large pages, which PyTorch asks for before its first tensor, so only who owns the process can say.
    """
    from unweave.cli.options import value_of
    from unweave.data.files import ROOT_VARIABLE
    from unweave.store.environment import variables

    given = value_of("data-root", words)
    with variables({LARGE_PAGES: os.environ.get(LARGE_PAGES, "1"), **({ROOT_VARIABLE: given} if given else {})}):
        yield


def usage() -> str:
    """What ``unweave --help`` prints."""
    lines = ["unweave VERB …: train, measure and compare disentangled representations", ""]
    wide = max(len(f"{verb} {words}") for verb, (_, words, _) in VERBS.items())
    lines += [f"  {f'{verb} {words}':<{wide}}  {what}" for verb, (_, words, what) in VERBS.items()]
    lines += ["", "  unweave VERB --help   every option of a verb, with its default"]
    lines += ["  unweave VERB --json   one JSON document instead of text", "", "for example:"]
    lines += ["  unweave train deft --data triangle --seeds 3", "  unweave score last", "  unweave report last"]
    return "\n".join(lines)


@contextmanager
def one_line_warnings(verb: str) -> Iterator[None]:
    """Warnings meant for people as one line each; those meant for programmers not at all."""

    def show(message: Warning | str, *rest: object, **more: object) -> None:
        print(f"unweave {verb}: note: {one_line(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning)
        warnings.showwarning = show
        yield


def _speakable() -> None:
    """Letters that a console cannot show, as on Windows with an old code page, come out as ? and end no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and "utf" not in stream.encoding.lower():
            stream.reconfigure(errors="replace")


def _full(error: UserError) -> bool:
    """Whether a disk refused to write on: nothing that was asked for wrongly."""
    cause = error.__cause__ or error.__context__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _answer(verb: str, error: UserError, code: int) -> int:
    if debugging():
        raise error
    return _complain(verb, str(error), code)


def _complain(verb: str, text: str, code: int) -> int:
    print(f"unweave {verb}".strip() + f": {one_line(text)}", file=sys.stderr)
    return code
