from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", views.window),
    path("whoami", views.whoami),
    path("public/whoami", views.whoami),
    path("staff/whoami", views.whoami),
    path("cart", views.cart),
    path("upload", views.upload),
    path("download/<int:size>", views.download),
]
