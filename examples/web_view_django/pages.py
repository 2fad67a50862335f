"""The Django application of the job: settings, routes and views."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management.utils import get_random_secret_key
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

TEMPLATES = {
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "DIRS": [Path(__file__).parent / "templates"],
}


def make_pages(base_url: str, perform: Callable[[str], dict[str, Any]]) -> WSGIHandler:
    """Pages below `base_url`: every route begins with it, less the first slash."""
    if not settings.configured:  # a process has one Django
        settings.configure(
            SECRET_KEY=get_random_secret_key(),  # with sessions: a lasting one, from the environment
            ALLOWED_HOSTS=["*"],
            MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
            TEMPLATES=[TEMPLATES],
        )
    views = Views(perform)
    settings.ROOT_URLCONF = (
        path(f"{base_url[1:]}/", views.home, name="home"),
        path(f"{base_url[1:]}/ticket", views.ticket, name="ticket"),
    )
    return get_wsgi_application()


class Views:
    def __init__(self, perform: Callable[[str], dict[str, Any]]) -> None:
        self.perform = perform

    def home(self, request: HttpRequest) -> HttpResponse:
        return render(request, "home.html")

    def ticket(self, request: HttpRequest) -> HttpResponse:
        text = request.POST.get("text", "")
        try:
            answer = self.perform(text)
        except ValueError as error:
            return render(request, "home.html", {"text": text, "error": error}, status=400)
        return render(request, "home.html", {"text": text, "answer": answer})
