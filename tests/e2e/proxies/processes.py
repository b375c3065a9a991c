"""Programs that run for a while: started, waited for, ended by their own id; what they said is kept for a failure."""

import asyncio
import contextlib
import inspect
import re

import evidence

PATIENCE = 30


@contextlib.asynccontextmanager
async def running(command, folder):
    """Runs a program in `folder` until the block is left; yields the file that it writes to."""
    said = folder / f"{command[0].rsplit('/', 1)[-1]}.log"
    with said.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield Program(process, said)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), PATIENCE)
            except TimeoutError:
                process.kill()
                await process.wait()
        # The gateway's own, and those of the proxies in front: what passes them is as secret.
        evidence.log(said)


class Program:
    """A running program."""

    def __init__(self, process, said):
        self._process, self._said = process, said

    def said(self):
        return self._said.read_text(errors="replace")

    async def saying(self, pattern):
        """The match of what it says sooner or later."""
        return await self.until(lambda: re.search(pattern, self.said()))

    async def until(self, condition):
        """What `condition`, a function or a coroutine function, gives once that is true."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = condition()
                found = await found if inspect.isawaitable(found) else found
                if found:
                    return found
                if self._process.returncode is not None:
                    raise AssertionError(f"ended with {self._process.returncode}:\n{self.said()}")
                await asyncio.sleep(0.02)
