"""The pages of the shop: one for people; the others answer in JSON what Django itself has seen."""

from django.http import JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie
from django.views.decorators.http import require_POST

PIECE = 1024 * 1024


def whoami(request):
    """Who Django takes the visitor for, and what arrived of the request."""
    headers = {name: value for name, value in request.META.items() if name.startswith(("HTTP_", "REMOTE_"))}
    return JsonResponse({"user": request.user.get_username(), "path": request.get_full_path(),
                         "headers": headers, "cookies": request.COOKIES})


def window(request):
    """The shop as people see it, with their cart and two ways out."""
    items = request.session.get("items", [])
    if request.method == "POST":
        request.session["items"] = [*items, request.POST["item"]]
        return redirect("/")
    return render(request, "window.html", {"items": items})


@ensure_csrf_cookie
def cart(request):
    """A cart in a session on the server; POST puts `item` into it."""
    items = request.session.get("items", [])
    if request.method == "POST":
        items = request.session["items"] = [*items, request.POST["item"]]
    return JsonResponse({"user": request.user.get_username(), "items": items})


@csrf_exempt
@require_POST
def upload(request):
    """Counts what is sent."""
    size = 0
    while piece := request.read(PIECE):
        size += len(piece)
    return JsonResponse({"user": request.user.get_username(), "bytes": size})


def download(request, size):
    """Sends this number of bytes."""
    zeros = bytes(PIECE)
    pieces = (zeros[: min(PIECE, size - sent)] for sent in range(0, size, PIECE))
    return StreamingHttpResponse(pieces, content_type="application/octet-stream", headers={"Content-Length": str(size)})
