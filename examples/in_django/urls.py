from django.http import HttpRequest, HttpResponse
from django.urls import path


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse('<a href="/model/docs">The model</a>')


urlpatterns = [path("", home)]
