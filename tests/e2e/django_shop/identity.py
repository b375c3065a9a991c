"""The two ways in which Django takes a user from a header, as its manual shows them."""

from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import PersistentRemoteUserMiddleware, RemoteUserMiddleware


class EveryRequest(RemoteUserMiddleware):
    """The user whom the header names is signed in; without the header, no user is."""

    header = "HTTP_REMOTE_USER"


class OnceIsEnough(PersistentRemoteUserMiddleware):
    """Who the header named once stays signed in, by Django's own session, until Django is told otherwise."""

    header = "HTTP_REMOTE_USER"


class Keepers(RemoteUserBackend):
    """Every user whom the header names is staff: the admin site is open to them."""

    def configure_user(self, request, user, created=True):
        user.is_staff = user.is_superuser = True
        user.save()
        return user
