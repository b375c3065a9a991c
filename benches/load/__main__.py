"""The measurement: everything once, then everything again in the other order, and in the end the report."""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bulk
import contestants as who
import idle
import load
import machine
import report

PARTS = ["page", "large", "short", "strangers", "sessions", "logout", "rate", "memory", "bulk"]
# Contestants of the parts that are not about everybody.
SHORT_HEAD = ["nginx, no sign-in", "nginx + auth_request"]
LARGE = ["direct", "nginx, no sign-in", "HAProxy, no sign-in", "nginx + auth_request"]
# Requests a second at which latency is measured: what the slowest of them can do on one processor.
RATE = 1000


def arguments():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--program", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--train", action="store_true")
    asked = parser.parse_args()
    asked.parts = asked.parts.split(",")
    whole = asked.parts == PARTS and asked.rounds >= 5 and not asked.only and not asked.program
    asked.output = asked.output or (report.OWN_FOLDER if whole else Path("target/benches/report"))
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: see --help")
    return asked


def built(name, *arguments):
    """Builds for release, and answers where the target of this name is: a benchmark's build makes the program, too."""
    print(f"building: cargo {' '.join(arguments)}", flush=True)
    command = ["cargo", *arguments, "--locked", "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return next(Path(one["executable"]) for one in messages if one.get("executable") and one["target"]["name"] == name)


def programs_of(asked):
    """The measured builds of Exeunt, by name."""
    named = dict(program.split("=", 1) for program in asked.program)
    if named:
        return {name: Path(program).resolve() for name, program in named.items()}
    return {"Exeunt": built("exeunt", "build", "--release", "--bin", "exeunt")}


class Stage:
    """All contestants, and what is measured of them."""

    def __init__(self, asked, place):
        self.asked, self.place = asked, place
        self.figures, self.deadline = {}, time.monotonic() + 60 * asked.minutes
        self.application = who.Application(place, None)
        self.contestants, self.crowds, self.bench = [], [], None

    def open(self):
        port = self.application.port
        # Nobody learns from the load of others, and none of it is a crowd's.
        for proxy in [] if self.asked.train else who.PROXIES:
            self.enter(proxy.name, lambda proxy=proxy: proxy(self.place, port))
        for name, program in programs_of(self.asked).items():
            self.enter(name, lambda: who.Exeunt(self.place, port, name, program))
            logging = f"{name} + access line"
            self.enter(logging, lambda: who.LoggingExeunt(self.place, port, logging, program))
        if {"sessions", "logout"} & set(self.asked.parts) and self.is_wanted("Exeunt") and not self.asked.train:
            self.bench = built("instructions", "bench", "--bench", "instructions", "--no-run")
        if self.bench and "sessions" in self.asked.parts:
            self.crowds = [self.crowd(1000, "1,000 sessions"), self.crowd(1_000_000, "1,000,000 sessions")]

    def is_wanted(self, name):
        return not self.asked.only or any(part.lower() in name.lower() for part in self.asked.only)

    def enter(self, name, start):
        if self.is_wanted(name):
            self.contestants.append(start())

    def crowd(self, sessions, name):
        return who.Crowd(self.place, self.application.port, name, self.bench, sessions)

    def ours(self):
        return [one for one in self.contestants if isinstance(one, who.Exeunt)]

    def measurements(self):
        """Everything that is measured in a round: part, contestant's name, and how."""
        silent = [one for one in self.ours() if not one.access]
        plain = [
            ("page", self.contestants, lambda one: self.load(one, one.head("/page"))),
            ("large", self.among(LARGE) + silent, lambda one: self.load(one, one.head("/large"))),
            ("short", self.among(SHORT_HEAD) + silent, lambda one: self.load(one, one.head("/page", lines=load.SHORT))),
            ("strangers", silent, lambda one: self.load(one, load.page("/page"), status=303)),
            ("sessions", self.crowds,
             lambda one: self.load(one, load.page("/page", cookie="exeunt=COOKIE"), one.cookies)),
            ("rate", self.contestants, lambda one: self.load(one, one.head("/page"), rate=RATE)),
        ]
        chosen = [(part, one.name, lambda how=how, one=one: how(one)) for part, all_of, how in plain for one in all_of
                  if part in self.asked.parts]
        if "logout" in self.asked.parts and self.bench:
            chosen.append(("logout", "a sign-out", self.logouts))
        return chosen

    def among(self, names):
        return [one for one in self.contestants if one.name in names]

    def load(self, contestant, head, cookies=None, rate=None, status=200):
        load.check(contestant.port, head, status, cookies)
        load.run(self.place, contestant.port, head, 1, cookies=cookies, rate=rate)
        return load.measure(self.place, contestant, head, self.asked.seconds, cookies=cookies, rate=rate)

    def logouts(self):
        """Every one ends a session: there is no warm-up, and each round needs new ones."""
        name = f"logout-{time.monotonic_ns()}"
        crowd = self.crowd(300_000, name)
        try:
            return load.measure(self.place, crowd, load.logout(), 1, cookies=crowd.cookies)
        finally:
            crowd.stop()

    def run(self):
        for number in range(self.asked.rounds):
            todo = self.measurements()
            for part, name, how in todo if number % 2 == 0 else reversed(todo):
                if time.monotonic() > self.deadline:
                    print("the time is over: what is missing was not measured", flush=True)
                    return
                result = how()
                self.note(part, name, result)
                print(f"round {number + 1}  {part:9} {name:28} {report.shown(result)}", flush=True)
        if "memory" in self.asked.parts:
            self.memory()
        if "bulk" in self.asked.parts:
            self.bulk()

    def memory(self):
        for one in self.contestants:
            if not one.programs or isinstance(one, who.LoggingExeunt):
                continue
            try:
                result = idle.memory(one)
            except OSError as problem:
                print(f"memory    {one.name:28} does not keep {idle.IDLE} connections: {problem}", flush=True)
                continue
            self.note("memory", one.name, result)
            print(f"memory    {one.name:28} {report.shown(result)}", flush=True)

    def bulk(self):
        """Once, before an application of its own."""
        store = bulk.Store()
        silent = [(one.name, one.program) for one in self.ours() if not one.access]
        proxies = [lambda: who.Nginx(self.place, store.port)] if self.is_wanted(who.Nginx.name) else []
        proxies += [lambda name=name, file=file: who.Exeunt(self.place, store.port, name, file)
                    for name, file in silent]
        for enter in proxies:
            one = enter()
            try:
                result = bulk.measure(self.place, one)
            finally:
                one.stop()
            self.note("bulk", one.name, result)
            print(f"bulk      {one.name:28} {report.shown(result)}", flush=True)
        store.close()

    def note(self, part, name, result):
        of_name = self.figures.setdefault(part, {}).setdefault(name, {})
        for key, value in result.items():
            of_name.setdefault(key, []).append(value)

    def train(self):
        """The load of a profile-guided build, with access lines and without."""
        for one in self.ours():
            heads = [one.head("/page"), one.head("/page", lines=load.SHORT), one.head("/large"), load.page("/page")]
            for head in heads:
                load.run(self.place, one.port, head, self.asked.seconds)
            for _ in range(20):
                idle.sign_out(one.port, who.sign_in(one.port))

    def close(self):
        for one in [self.application, *self.contestants, *self.crowds]:
            one.stop()


def main():
    asked = arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, who.OPEN_FILES), most))
    place = Path(tempfile.mkdtemp(prefix="exeunt-bench-"))
    # Workers of Apache run as the user nobody.
    place.chmod(0o755)
    stage = Stage(asked, place)
    try:
        stage.open()
        if asked.train:
            return stage.train()
        stage.run()
    finally:
        stage.close()
        shutil.rmtree(place, ignore_errors=True)
    data = {"machine": machine.description(), "seconds": asked.seconds, "rate": RATE, "figures": stage.figures}
    report.write(data, asked.output)
    names = [name.split("=")[0] for name in asked.program]
    if len(names) == 2:
        print("\n".join(report.compared(stage.figures, *names)))


if __name__ == "__main__":
    sys.exit(main())
