"""A small shop that leaves signing in to whatever stands in front of it.

Nothing here knows Exeunt: Django as it comes, its own sessions, and the RemoteUserMiddleware of its manual.
"""

import os
from pathlib import Path

FOLDER = Path(os.environ["SHOP_FOLDER"])

SECRET_KEY = "a shop for tests on this machine only"
ALLOWED_HOSTS = ["localhost"]
ROOT_URLCONF = "django_shop.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    os.environ.get("SHOP_IDENTITY", "django_shop.identity.EveryRequest"),
]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
