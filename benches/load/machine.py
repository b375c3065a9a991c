"""Processes of a measurement: where they run, what they have used, and that they end."""

import os
import platform
import signal
import socket
import subprocess
import time
from pathlib import Path

PROCESSORS = sorted(os.sched_getaffinity(0))
# What is measured has one processor to itself where there are two.
MEASURED = PROCESSORS[:1]
OTHERS = PROCESSORS[1:] or PROCESSORS


def free_ports(count):
    """Free ports. Held together for a moment, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


class Program:
    """A process with its children, in a session of its own, on some processors."""

    def __init__(self, command, processors, log, environment=None, **options):
        pinned = ["taskset", "--cpu-list", ",".join(map(str, processors))]
        environment = {**os.environ, **(environment or {})}
        self.log = log
        with open(log, "ab") as output:
            options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **options}
            self.process = subprocess.Popen(
                [*pinned, *map(str, command)], env=environment, start_new_session=True, **options
            )

    def processes(self):
        """All that are alive."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                # Field 6 of proc(5): the session.
                if int(fields[3]) == self.process.pid:
                    found.append(folder)
        return found

    def said(self):
        """The end of what it wrote, which says why it did not start."""
        return Path(self.log).read_text(errors="replace")[-2000:]

    def cpu_seconds(self):
        """Time on a processor, of all threads, user's and kernel's."""
        nanoseconds = 0
        for process in self.processes():
            for thread in process.glob("task/*/schedstat"):
                try:
                    nanoseconds += int(thread.read_text().split()[0])
                except (OSError, IndexError):
                    pass
        return nanoseconds / 1e9

    def resident_bytes(self):
        """Memory that no other process shares, and its part of what is shared (PSS)."""
        total = 0
        for process in self.processes():
            try:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
            except OSError:
                pass
        return total

    def stop(self):
        for number in [signal.SIGTERM, signal.SIGKILL]:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(3)
                break
            except subprocess.TimeoutExpired:
                pass
        # Workers that outlive their master.
        for process in self.processes():
            try:
                os.kill(int(process.name), signal.SIGKILL)
            except ProcessLookupError:
                pass


def wait_for(port, program, patience=20):
    """Until somebody listens, or the program has ended."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if program.process.poll() is not None:
            raise RuntimeError(f"{program.process.args} ended with {program.process.returncode}: {program.said()}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{program.process.args} does not listen: {program.said()}")


def description():
    """What the figures were measured on."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {
        "processor": model,
        "processors": len(PROCESSORS),
        "system": f"{platform.system()} {platform.release()}",
        "date": time.strftime("%Y-%m-%d"),
        "load": os.getloadavg()[0],
    }
