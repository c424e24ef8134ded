"""Whether functions can be sent to another process is tried, not guessed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import own_loops

from lottery.tasks.sendable import why_not_sendable


def run(text: str, folder: Path, *, stdin: bool = False) -> str:
    script = textwrap.dedent(text)
    path = folder / "script.py"
    path.write_text(script, encoding="utf-8")
    command = [sys.executable, *([] if stdin else [str(path)])]
    done = subprocess.run(
        command,
        input=script if stdin else None,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


GUARDED = """
from lottery.tasks.sendable import why_not_sendable

def train(model):
    pass

if __name__ == "__main__":
    print(why_not_sendable([train, None]))
"""


def test_functions_of_modules_can_be_sent() -> None:
    assert why_not_sendable([own_loops.make_model, own_loops.train, None]) is None


def test_closures_cannot_be_pickled() -> None:
    said = why_not_sendable([lambda model: None])
    assert said is not None
    assert said.startswith("they cannot be pickled: ")


def test_a_scripts_functions_can_be_sent(tmp_path: Path) -> None:
    assert run(GUARDED, tmp_path) == "None"


def test_functions_typed_in_cannot_although_they_pickle(tmp_path: Path) -> None:
    said = run("import pickle\n" + GUARDED + "\n    pickle.dumps(train)\n", tmp_path, stdin=True)
    assert said.startswith("another process could not load them: ")


def test_a_script_that_begins_anew_in_every_process_is_noticed(tmp_path: Path) -> None:
    text = """
    import multiprocessing
    from lottery.tasks.sendable import imported_in_child, why_not_sendable

    def train(model):
        pass

    if imported_in_child():
        raise SystemExit("begun again")
    print(why_not_sendable([train]))
    """
    assert run(text, tmp_path) == "another process could not load them: begun again"


def test_a_child_that_hangs_is_given_up(tmp_path: Path) -> None:
    text = """
    import threading
    from lottery.tasks.sendable import why_not_sendable

    def train(model):
        pass

    if __name__ == "__main__":
        print(why_not_sendable([train], seconds=0.5))
    else:
        threading.Event().wait()
    """
    said = run(text, tmp_path)
    assert said == "another process that was given them did not answer within 0.5 seconds"
