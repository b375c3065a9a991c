"""The application behind the gateway: shows the headers it received, echoes messages, tells events."""

import asyncio

from aiohttp import web


class Application:
    """Runs in this process. `release` lets the second event of every stream go."""

    def __init__(self):
        self.release = asyncio.Event()
        self.port = None

    async def start(self):
        app = web.Application()
        app.router.add_get("/socket", self._echo)
        app.router.add_get("/events", self._events)
        app.router.add_route("*", "/{path:.*}", self._headers)
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]

    async def _headers(self, request):
        received = [[name.lower(), value] for name, value in request.headers.items()]
        return web.json_response({"path": request.raw_path, "headers": received})

    async def _echo(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def _events(self, request):
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: first\n\n")
        await self.release.wait()
        await stream.write(b"data: second\n\n")
        return stream
