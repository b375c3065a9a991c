"""Usage: raw [NAME]...; see tests/e2e/raw.sh."""

import sys
import tempfile
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import upstreams
from corpus import ROWS
from trial import Trial

SHOWN = 20
"""Problems of one application that are printed; the rest is counted."""

printing = threading.Lock()


def attempt(name):
    """All rows in front of one application; gives the finished trial, or None where it failed."""
    with tempfile.TemporaryDirectory(prefix="exeunt-raw-") as folder:
        try:
            trial = Trial(Path(folder), upstreams.ALL[name])
            trial.run()
        except Exception:
            return say(f"FAIL  {name}: {traceback.format_exc()}")
        counts = (f"{trial.sent} rows sent; with the honest requests between them {trial.forwarded} passed on and "
                  f"{trial.reached} read by the application")
        if trial.problems:
            more = [f"and {len(trial.problems) - SHOWN} more"] if len(trial.problems) > SHOWN else []
            return say("\n      ".join([f"FAIL  {name}: {counts}", *trial.problems[:SHOWN], *more]))
        say(f"ok    {name}: {counts}")
        return trial


def say(text):
    with printing:
        print(text, flush=True)


def main(names):
    chosen = names or list(upstreams.ALL)
    with ThreadPoolExecutor(len(chosen)) as pool:
        trials = list(pool.map(attempt, chosen))
    held = [trial for trial in trials if trial]
    sent, reached = sum(trial.sent for trial in held), sum(trial.reached for trial in held)
    print(f"{len(ROWS)} rows, {len(held)} of {len(chosen)} applications: {sent} rows sent, {reached} requests read")
    return 0 if all(trials) else 1


sys.exit(main(sys.argv[1:]))
