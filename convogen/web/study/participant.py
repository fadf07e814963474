"""A participant's pages: one address, at which the next step is shown and answered.

Each form contains the token of its page. If that page has already been answered, for example after
a double click or the back button, the form changes nothing and the browser is redirected to the
next step.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from convogen.study.plan import next_step
from convogen.study.study_file import CollectDesign, PairsDesign, RatingsDesign
from convogen.web.study import chat, forms, pairs, ratings
from convogen.web.study.entry import participant_of
from convogen.web.study.site import STUDY, Site, redirect, site_of
from convogen.web.study.visit import Refused, Visit

__all__ = ["show", "take", "waiting"]

_MOST_FIELDS = 60


async def _visit(request: Request) -> Visit | None:
    """Return the participant's visit, or None if nobody is signed in from this browser."""
    site, name = site_of(request), await participant_of(request)
    if name is None:
        return None
    return await run_in_threadpool(_at_its_step, site, name)


def _at_its_step(site: Site, name: str) -> Visit:
    items = site.store.items(name)
    step = next_step(site.design, len(items), site.store.answered(name))
    return Visit(site, site.store.participant(name), step, items)


async def show(request: Request) -> Response:
    """Show the next step."""
    visit = await _visit(request)
    if visit is None:
        return redirect("/")
    if visit.step is None:
        return visit.site.page("done.html")
    await run_in_threadpool(visit.site.store.show, visit.participant.id, visit.step)
    return await _page(visit)


async def _page(visit: Visit, refused: Refused | None = None) -> Response:
    """Return the page for a step, filled with the given values if an answer was refused."""
    if visit.item is None:
        return forms.page(visit, refused)
    if isinstance(visit.site.design, CollectDesign):
        return await chat.page(visit, refused)
    module = pairs if isinstance(visit.site.design, PairsDesign) else ratings
    return await run_in_threadpool(module.page, visit, refused)


async def take(request: Request) -> Response:
    """Accept the answer to a step."""
    visit = await _visit(request)
    if visit is None:
        return redirect("/")
    async with request.form(max_files=0, max_fields=_MOST_FIELDS) as fields:
        form = {name: value for name, value in fields.items() if isinstance(value, str)}
    if visit.step is None:
        return redirect(STUDY)
    if isinstance(visit.site.design, CollectDesign) and visit.item is not None:
        refused = await chat.take(visit, form)
        return redirect(f"{STUDY}#last") if refused is None else await _page(visit, refused)
    if not visit.is_from_its_page(form):
        return redirect(STUDY)
    taken = await run_in_threadpool(_taken, visit, form)
    if isinstance(taken, Refused):
        return await _page(visit, taken)
    await run_in_threadpool(visit.answer, taken)
    return redirect(STUDY)


def _taken(visit: Visit, form: Mapping[str, str]) -> dict[str, object] | Refused:
    """Return the answer in a form, or a `Refused` with the errors."""
    if visit.item is None:
        return forms.take(visit, form)
    if isinstance(visit.site.design, RatingsDesign):
        return ratings.take(visit, form)
    return pairs.take(visit, form)


async def waiting(request: Request) -> Response:
    """Report whether a reply is still being written; the page's script polls this address."""
    visit = await _visit(request)
    writes = visit is not None and visit.item is not None and await chat.is_waiting(visit)
    return JSONResponse({"waiting": writes})
