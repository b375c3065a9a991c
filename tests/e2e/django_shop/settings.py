"""A small shop that leaves signing in to whatever stands in front of it.

Nothing here knows Exeunt: Django as it comes, its admin, its own sessions, and the RemoteUserMiddleware of its manual.
"""

import os
from pathlib import Path

FOLDER = Path(os.environ["SHOP_FOLDER"])

SECRET_KEY = "a shop for tests on this machine only"
ALLOWED_HOSTS = ["localhost", "shop.example.test"]
ROOT_URLCONF = "django_shop.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django_shop", "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles",
]
STATIC_URL = "/static/"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    os.environ.get("SHOP_IDENTITY", "django_shop.identity.EveryRequest"),
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
AUTHENTICATION_BACKENDS = ["django_shop.identity.Keepers"]
