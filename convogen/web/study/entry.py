"""Signing in with a code, and signing out."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from convogen.web.study.site import STUDY, Site, redirect, site_of

__all__ = ["ask_code", "enter", "leave", "participant_of"]

_LONGEST_CODE = 100


async def participant_of(request: Request) -> str | None:
    """Return the name of the participant who is signed in from this browser, or None."""
    site = site_of(request)
    token = request.cookies.get(site.cookie, "")
    return await run_in_threadpool(site.store.participant_of, token)


async def ask_code(request: Request) -> Response:
    """Ask for a code; redirect the researcher, who has a token, to the progress page."""
    if token := request.query_params.get("token"):
        return redirect(f"/progress?{urlencode({'token': token})}")
    if await participant_of(request) is not None:
        return redirect(STUDY)
    return site_of(request).page("enter.html", error="", code="")


async def enter(request: Request) -> Response:
    """Sign in a participant whose code is valid."""
    site = site_of(request)
    async with request.form(max_files=0, max_fields=10) as form:
        code = f"{form.get('code', '')}"[:_LONGEST_CODE].strip()
    participant = await run_in_threadpool(site.store.participant_with, code)
    if participant is None:
        return _wrong(site, request, code)
    answer = redirect(STUDY)
    answer.set_cookie(
        site.cookie,
        await run_in_threadpool(site.store.open_session, participant),
        max_age=60 * 60 * 24 * 90,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _wrong(site: Site, request: Request, code: str) -> Response:
    if site.limiter.refuses(request.client.host if request.client else ""):
        error = "Too many wrong codes. Please wait a minute before you try again."
        return site.page("enter.html", 429, error=error, code=code)
    error = "Unknown code. Please compare it with the code that you were given."
    return site.page("enter.html", 403, error=error, code=code)


async def leave(request: Request) -> Response:
    """Sign this browser out, for example on a shared computer."""
    site = site_of(request)
    await run_in_threadpool(site.store.close_session, request.cookies.get(site.cookie, ""))
    answer = redirect("/")
    answer.delete_cookie(site.cookie, httponly=True, samesite="strict")
    return answer
