"""The researcher's page: all participants' progress, and deletion of their data on request."""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from convogen.study.progress import Progress, progress_of
from convogen.web.study.site import Site, redirect, site_of

__all__ = ["forget", "progress"]


@dataclass(frozen=True, slots=True)
class _Row:
    """A participant's row in the progress table."""

    name: str
    state: str
    items: int
    of: int
    seconds: str
    checks: str
    failed_checks: bool
    last: str
    forgettable: bool


async def progress(request: Request) -> Response:
    """Show all participants' progress."""
    site = site_of(request)
    if refusal := site.access.refusal(request):
        return refusal
    everybody = await run_in_threadpool(_everybody, site)
    rows = [_row(one) for one in everybody]
    return site.page(
        "progress.html",
        rows=rows,
        finished=sum(row.state == "finished" for row in rows),
        begun=sum(row.state != "not started" for row in rows),
        answered=sum(row.items for row in rows),
        of=sum(row.of for row in rows),
        has_checks=any(row.checks for row in rows),
        trouble=site.replies.trouble if site.replies else "",
    )


def _everybody(site: Site) -> list[Progress]:
    return [progress_of(site.design, site.store, one) for one in site.store.participants()]


def _row(one: Progress) -> _Row:
    if one.participant.withdrawn:
        state = "withdrawn"
    elif one.last is None:
        state = "not started"
    else:
        state = "finished" if one.step is None else "in progress"
    return _Row(
        name=one.participant.id,
        state=state,
        items=one.items,
        of=one.of,
        seconds="" if one.seconds is None else _duration(one.seconds),
        checks=f"{one.passed} of {one.checks}" if one.checks else "",
        failed_checks=one.passed < one.checks,
        last="" if one.last is None else f"{_duration(time.time() - one.last)} ago",
        forgettable=not one.participant.withdrawn and one.last is not None,
    )


def _duration(seconds: float) -> str:
    """Return a duration in words, such as 45 s or 3 h."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


async def forget(request: Request) -> Response:
    """Delete all data of a participant."""
    site = site_of(request)
    if refusal := site.access.refusal(request):
        return refusal
    async with request.form(max_files=0, max_fields=10) as form:
        name = form.get("participant")
    everybody = await run_in_threadpool(site.store.participants)
    for one in everybody:
        if one.id == name:
            await run_in_threadpool(site.store.forget, one.id)
            if site.replies is not None:
                await site.replies.forget(one.place)
    return redirect("/progress")
