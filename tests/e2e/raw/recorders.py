"""Applications that write down every request that reached them, as they see it, before they answer it.

One JSON object a line in the file $RECORD; texts are bytes, one character each. They answer PUBLIC below /public and
SECRET everywhere else. Each is an application as people write it: the frameworks route by the path that they parsed.
"""

import json
import os

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
"""What the frameworks let through to a view; they answer the rest themselves."""


def write(entry):
    with open(os.environ["RECORD"], "a", encoding="ascii") as file:
        file.write(json.dumps(entry) + "\n")


def answer(path):
    return b"PUBLIC" if path == "/public" or path.startswith("/public/") else b"SECRET"


def note(environ, path, read):
    """Writes down a request of WSGI: its head at once, its body when it came. Gives the answer."""
    headers = {name: value for name, value in environ.items() if isinstance(value, str)}
    write({"method": environ["REQUEST_METHOD"], "path": path, "headers": list(headers.items())})
    if body := read():
        write({"body": body.decode("latin-1")})
    return answer(path)


def wsgi(environ, start_response):
    body = note(environ, environ["PATH_INFO"], environ["wsgi.input"].read)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def flask():
    from flask import Flask, request

    app = Flask(__name__)

    def view(path="", before="/"):
        return note(request.environ, before + in_bytes(path), request.get_data)

    for rule, known in [("/", "/"), ("/public", "/public"), ("/public/", "/public/"), ("/<path:path>", "/")]:
        app.add_url_rule(rule, rule, view, defaults={"before": known}, methods=METHODS)
    return app


def bottle():
    from bottle import Bottle, request

    app = Bottle()

    def view(path):
        return note(request.environ, "/" + in_bytes(path), request.body.read)

    app.route("/<path:re:.*>", method="ANY", callback=view)
    return app


def falcon():
    from falcon import App

    app = App()

    def view(request, response):
        response.data = note(request.env, in_bytes(request.path), request.bounded_stream.read)

    app.add_sink(view, "/")
    return app


async def asgi(scope, receive, send):
    write(told(scope, scope["path"]))
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body, more = body + event.get("body", b""), event.get("more_body", False)
    if body:
        write({"body": body.decode("latin-1")})
    said = answer(in_bytes(scope["path"]))
    headers = [(b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


def starlette():
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def view(request):
        path = "/" + request.path_params["path"]
        write(told(request.scope, path))
        if body := await request.body():
            write({"body": body.decode("latin-1")})
        return Response(answer(in_bytes(path)))

    return Starlette(routes=[Route("/{path:path}", view, methods=METHODS)])


def told(scope, path):
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return {"method": scope["method"], "path": in_bytes(path), "headers": headers}


def in_bytes(text):
    """A path that was read as UTF-8, as bytes again, one character each."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
