"""What must hold for a browser that comes through a proxy."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import evidence
from aiohttp.abc import AbstractResolver

from fronts import NAME
from processes import PATIENCE

SMOKE = Path(__file__).parents[3] / "deploy" / "smoke"
USER, PASSWORD = "alice", "correct horse battery staple"
# The browser is not the proxy: another loopback address, which the gateway does not trust.
CLIENT = "127.0.0.2"
MADE_UP = "203.0.113.9"


async def smoke(place):
    """deploy/smoke, from the anonymous request to the dead cookie, over the HTTP version that curl prefers."""
    command = [SMOKE, f"https://127.0.0.1:{place.https}", USER, "--host", NAME, "--cacert", place.certificate,
               "--path", "/shop", "--echo", "/headers"]
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT)
    said, _ = await process.communicate(f"{PASSWORD}\n".encode())
    assert process.returncode == 0, said.decode()
    assert PASSWORD.encode() not in said


class Loopback(AbstractResolver):
    """Every name is this machine."""

    async def resolve(self, host, port=0, family=0):
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self):
        pass


class Browser:
    """Reaches the proxy as if it stood at the name's own ports."""

    def __init__(self, place):
        trust = ssl.create_default_context(cafile=place.certificate)
        connector = aiohttp.TCPConnector(resolver=Loopback(), ssl=trust, local_addr=(CLIENT, 0))
        self._place = place
        self.client = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=PATIENCE))
        self.headers = {"Host": NAME}

    def url(self, path):
        return f"https://{NAME}:{self._place.https}{path}"

    async def sign_in(self):
        self.headers["Cookie"] = await self.new_session()

    async def new_session(self):
        """The cookie of a user who signs in."""
        form = {"username": USER, "password": PASSWORD}
        origin = {"Origin": f"https://{NAME}", "Sec-Fetch-Site": "same-origin"}
        answer = await self.client.post(
            self.url("/login"), data=form, headers=self.headers | origin, allow_redirects=False)
        assert answer.status == 303, answer.status
        evidence.cookies(str(answer.headers))
        cookies = [value.split(";")[0] for value in answer.headers.getall("Set-Cookie")]
        return next(cookie for cookie in cookies if cookie.startswith("__Host-exeunt="))

    async def close(self):
        await self.client.close()


async def reachable(browser):
    """Whether the gateway answers through the proxy, over TLS that the browser trusts."""
    try:
        answer = await browser.client.get(browser.url("/.exeunt/session"), headers=browser.headers)
    except (aiohttp.ClientError, TimeoutError):
        return False
    return answer.status == 401


async def redirected(place):
    """Plain http leads to https."""
    async with aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{place.http}/shop"
        answer = await client.get(url, headers={"Host": NAME}, allow_redirects=False)
    assert answer.status in (301, 308), answer.status
    assert answer.headers["Location"].startswith(f"https://{NAME}"), answer.headers["Location"]


async def client_address(browser):
    """The application sees the client and https, whatever the client makes up; and so does the gateway."""
    made_up = {"X-Forwarded-For": MADE_UP, "X-Real-IP": MADE_UP, "X-Forwarded-Proto": "http", "X-Forwarded-Host": "a.b"}
    answer = await browser.client.get(browser.url("/headers"), headers=browser.headers | made_up)
    received = (await answer.json())["headers"]
    values = lambda name: [value for given, value in received if given == name]
    hops = [hop.strip() for value in values("x-forwarded-for") for hop in value.split(",")]
    assert hops[:1] == [CLIENT] and MADE_UP not in hops, hops
    assert values("x-forwarded-proto") == ["https"], values("x-forwarded-proto")
    assert values("x-forwarded-host") == [NAME], values("x-forwarded-host")
    assert values("host") == [NAME], values("host")
    session = await browser.client.get(browser.url("/.exeunt/session"), headers=browser.headers)
    assert (await session.json())["address"] == CLIENT, await session.text()


async def websocket(browser):
    """Messages pass both ways; a page of another site gets no connection."""
    origin = {"Origin": f"https://{NAME}"}
    async with browser.client.ws_connect(browser.url("/socket"), headers=browser.headers | origin) as socket:
        for message in ["one", "two" * 1000]:
            await socket.send_str(message)
            assert await socket.receive_str(timeout=PATIENCE) == message
    foreign = {"Origin": "https://smoke.invalid"}
    try:
        async with browser.client.ws_connect(browser.url("/socket"), headers=browser.headers | foreign):
            raise AssertionError("a foreign page got a WebSocket")
    except aiohttp.WSServerHandshakeError as refused:
        assert refused.status == 403, refused.status


async def events(browser, application):
    """The first event arrives before the application has made the second."""
    application.release.clear()
    async with browser.client.get(browser.url("/events"), headers=browser.headers) as stream:
        assert await stream.content.readuntil(b"\n\n") == b"data: first\n\n"
        application.release.set()
        assert await stream.content.readuntil(b"\n\n") == b"data: second\n\n"


async def logout(browser):
    """Ends a WebSocket that is open through the proxy, and the session."""
    origin = {"Origin": f"https://{NAME}", "Sec-Fetch-Site": "same-origin"}
    async with browser.client.ws_connect(browser.url("/socket"), headers=browser.headers | origin) as socket:
        await socket.send_str("here")
        assert await socket.receive_str(timeout=PATIENCE) == "here"
        answer = await browser.client.post(browser.url("/logout"), headers=browser.headers | origin)
        assert answer.status == 200, answer.status
        assert "__Host-exeunt=;" in answer.headers["Set-Cookie"]
        closed = await socket.receive(timeout=PATIENCE)
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1008), closed
    answer = await browser.client.get(browser.url("/headers"), headers=browser.headers)
    assert answer.status == 401, answer.status


LEAVERS, WORKERS = 60, 16


async def crowd(browser):
    """A sign-out over connections that the proxy keeps open affects no request and no sign-out of other users."""
    own = {"Origin": f"https://{NAME}", "Sec-Fetch-Site": "same-origin"}
    stays = await browser.new_session()
    leavers = [await browser.new_session() for _ in range(LEAVERS)]
    statuses = []

    async def ask(method, path, cookie):
        headers = browser.headers | own | {"Cookie": cookie}
        async with browser.client.request(method, browser.url(path), headers=headers, data=b"x") as answer:
            await answer.read()
            statuses.append((method, path, answer.status))

    async def work(done):
        while not done.is_set():
            await ask("POST", "/work", stays)

    async def leave(done):
        for cookie in leavers:
            # On several connections at once, which others use next.
            await asyncio.gather(*(ask("GET", "/page", cookie) for _ in range(4)), ask("POST", "/logout", cookie))
        done.set()

    done = asyncio.Event()
    await asyncio.gather(leave(done), *(work(done) for _ in range(WORKERS)))
    wrong = [one for one in statuses if one[2] != 200 and one[1] != "/page"]
    assert not wrong and len(statuses) > LEAVERS * 5, (len(statuses), wrong)
