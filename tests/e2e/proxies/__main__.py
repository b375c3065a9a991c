"""Usage: proxies PROGRAM [NAME]...; see tests/e2e/proxies.sh."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import checks
import evidence
import fronts
from application import Application
from processes import running

GATEWAY = """
listen          = ["127.0.0.1:0"]
public_url      = "https://{name}"
trusted_proxies = ["127.0.0.1"]
[[route]]
path     = "/"
upstream = "http://127.0.0.1:{application}"
[session]
max_per_user = 1000
[login]
users = "users.toml"
"""


def make_certificate(folder):
    """A certificate for the name, signed by itself."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={fronts.NAME}", "-addext", f"subjectAltName=DNS:{fronts.NAME}",
         "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def configure_gateway(program, folder, application):
    configuration = GATEWAY.format(name=fronts.NAME, application=application.port)
    (folder / "config.toml").write_text(configuration)
    evidence.secret(checks.PASSWORD)
    subprocess.run(
        [program, "user", "set", checks.USER], cwd=folder, input=f"{checks.PASSWORD}\n", text=True, check=True,
        capture_output=True)


async def through(name, program, application):
    """Everything, through one proxy."""
    with tempfile.TemporaryDirectory(prefix=f"exeunt-{name}-") as folder:
        folder = Path(folder)
        configure_gateway(program, folder, application)
        async with running([program, "serve"], folder) as gateway:
            port = (await gateway.saying(r"listening.*127\.0\.0\.1:(\d+)"))[1]
            place = fronts.Place(folder, port, *make_certificate(folder))
            async with running(fronts.ALL[name](place), folder) as front:
                try:
                    await check(place, front, application)
                except Exception:
                    print(f"--- the gateway said:\n{gateway.said()}--- {name} said:\n{front.said()}", file=sys.stderr)
                    raise


async def check(place, front, application):
    browser = checks.Browser(place)
    try:
        await front.until(lambda: checks.reachable(browser))
        await checks.smoke(place)
        await checks.redirected(place)
        await browser.sign_in()
        await checks.client_address(browser)
        await checks.websocket(browser)
        await checks.events(browser, application)
        await checks.logout(browser)
        await checks.crowd(browser)
    finally:
        await browser.close()


async def main(program, names):
    application = Application()
    await application.start()
    failed = []
    for name in names or fronts.ALL:
        try:
            await through(name, program, application)
            print(f"ok    {name}", flush=True)
        except Exception as problem:
            print(f"FAIL  {name}: {type(problem).__name__}: {problem}", flush=True)
            failed.append(name)
    return 1 if failed else 0


sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
