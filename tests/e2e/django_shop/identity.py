"""The two ways in which Django takes a user from a header, as its manual shows them."""

from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import PersistentRemoteUserMiddleware, RemoteUserMiddleware


class EveryRequest(RemoteUserMiddleware):
    """Who the header names is signed in; without the header, nobody is."""

    header = "HTTP_REMOTE_USER"


class OnceIsEnough(PersistentRemoteUserMiddleware):
    """Who the header named once stays signed in, by Django's own session, until Django is told otherwise."""

    header = "HTTP_REMOTE_USER"


class Keepers(RemoteUserBackend):
    """Whoever the header names keeps the shop: the admin is open to them."""

    def configure_user(self, request, user, created=True):
        user.is_staff = user.is_superuser = True
        user.save()
        return user
