"""The addresses of the viewer's pages, and the responses to requests.

A key identifies a run, and an id identifies a conversation. Both are looked up and never become
part of a file path. Pages use GET and change nothing; only drawing plots is a POST request.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from convogen.errors import RunFolderError
from convogen.web.access import Access
from convogen.web.app import application
from convogen.web.pages import page
from convogen.web.protection import Protection
from convogen.web.viewer.addresses import (
    address,
    one_of,
    page_number,
    page_of,
    tidied,
    whole_number,
)
from convogen.web.viewer.conversation import ConversationPage, conversation_page
from convogen.web.viewer.drawings import CAPTIONS, POLICY, Drawings
from convogen.web.viewer.formats import FILTERS
from convogen.web.viewer.lineage import MOST, around, window
from convogen.web.viewer.listing import listing, scales_of
from convogen.web.viewer.live import state_of
from convogen.web.viewer.opened import Opened
from convogen.web.viewer.pairs import (
    counterparts,
    judges_beside,
    other_judge,
    pairs_of,
    turns_beside,
)
from convogen.web.viewer.query import Query, last_page

__all__ = ["viewer"]

_PACKAGE = "convogen.web.viewer"
TABS = [
    ("/", "Conversations"),
    ("/compare", "Side by side"),
    ("/judges", "Judges"),
    ("/lineage", "Lineage"),
    ("/plots", "Plots"),
]
"""Addresses and titles of the pages about a run."""


def viewer(
    runs: Sequence[Opened], access: Access | None = None, hosts: frozenset[str] = frozenset()
) -> Protection:
    """Return the application that shows runs.

    Args:
        runs: The runs to show; `watch.watching` keeps their indexes up to date.
        access: Access control for the pages; None allows everybody.
        hosts: The allowed host names; an empty set allows every name.
    """
    pages = Pages(runs)
    guard = access or Access()

    def route(path: str, answer: Callable[[Request], Response], method: str = "GET") -> Route:
        def guarded(request: Request) -> Response:
            try:
                return guard.refusal(request) or answer(request)
            except sqlite3.OperationalError as error:
                raise HTTPException(503, "The index is busy. Try again in a moment.") from error
            except sqlite3.DatabaseError as error:
                for opened in runs:
                    opened.scanner.recover(error)
                said = "The index was damaged and is being rebuilt. Try again in a moment."
                raise HTTPException(503, said) from error

        return Route(path, guarded, methods=[method])

    routes = [
        route("/", pages.list),
        route("/conversation", pages.conversation),
        route("/live", pages.live),
        route("/compare", pages.compare),
        route("/pair", pages.pair),
        route("/judges", pages.judges),
        route("/lineage", pages.lineage),
        route("/plots", pages.plots),
        route("/plots", pages.draw, "POST"),
        route("/plot", pages.plot),
    ]
    return application(_PACKAGE, routes, hosts=hosts)


class Pages:
    """The viewer's request handlers."""

    def __init__(self, runs: Sequence[Opened]) -> None:
        self._runs = {opened.key: opened for opened in runs}
        self._drawings = Drawings()

    def list(self, request: Request) -> Response:
        """Respond with a list of the conversations that match the query."""
        if tidy := tidied(request, "/"):
            return tidy
        chosen, one = self._chosen(request)
        found = listing(chosen, Query.of(request.query_params))
        if found.query.page > found.pages:
            return page_of(request, "/", found.pages)
        return self._page("list.html", request, found=found, run=one)

    def conversation(self, request: Request) -> Response:
        """Respond with one conversation or one failure."""
        opened = self._run(request)
        shown = self._shown(opened, request.query_params.get("id", ""))
        links = self._links(opened, shown)
        return self._page("conversation.html", request, shown=shown, run=opened, links=links)

    def live(self, request: Request) -> Response:
        """Respond with the state of a run, for the polling script."""
        return JSONResponse(state_of(self._run(request)).as_dict())

    def compare(self, request: Request) -> Response:
        """Respond with pairs of corresponding conversations from two runs."""
        first, second = self._two(request)
        pairs = pairs_of(first, second, number := page_number(request))
        if number > (last := last_page(pairs.total)):
            return page_of(request, "/compare", last)
        return self._page(
            "compare.html", request, run=first, first=first, second=second, pairs=pairs, page=number
        )

    def pair(self, request: Request) -> Response:
        """Respond with two conversations side by side."""
        sides: list[ConversationPage] = []
        for run, name in (("run", "id"), ("with", "other")):
            opened = self._run(request, run)
            sides.append(self._shown(opened, request.query_params.get(name, ""), f"{run}-"))
        turns = turns_beside(*sides)
        return self._page(
            "pair.html",
            request,
            run=self._runs[sides[0].run],
            first=sides[0],
            second=sides[1],
            turns=turns,
            alike=next((at for at, pair in enumerate(turns) if not pair.same), len(turns)),
            from_turn=next((side.from_turn for side in sides if side.from_turn), None),
        )

    def judges(self, request: Request) -> Response:
        """Respond with two judges' scores for the same conversations."""
        opened = self._run(request)
        scales = scales_of(opened)
        first = one_of(request.query_params.get("first"), scales)
        second = one_of(request.query_params.get("second"), [other_judge(first, scales), *scales])
        number = page_number(request)
        total, rows = judges_beside(opened, first, second, number)
        if number > (last := last_page(total)):
            return page_of(request, "/judges", last)
        return self._page(
            "judges.html",
            request,
            run=opened,
            scales=scales,
            first=first,
            second=second,
            total=total,
            rows=rows,
            page=number,
        )

    def lineage(self, request: Request) -> Response:
        """Respond with a picture of part of the hub's lineage."""
        opened = self._run(request)
        focus = request.query_params.get("focus", "")
        start = whole_number(request.query_params.get("start", ""))
        found = around(opened, focus) if focus else window(opened, start)
        return self._page(
            "lineage.html",
            request,
            run=opened,
            lineage=found,
            names={node.id: node.topic or node.id for node in found.nodes},
            focus=focus,
            start=start,
            most=MOST,
        )

    def plots(self, request: Request) -> Response:
        """Respond with the plots for one run or for all runs, if they have been drawn."""
        chosen, one = self._chosen(request)
        states = [state_of(opened) for opened in chosen]
        total = sum(s.counts["accepted"] + s.counts["broken"] for s in states)
        drawing = self._drawings.of(chosen)
        return self._page(
            "plots.html",
            request,
            run=one,
            drawn=chosen,
            drawing=drawing,
            captions=CAPTIONS,
            total=total,
        )

    def draw(self, request: Request) -> Response:
        """Start to draw the plots, and redirect to the page that shows them."""
        chosen, one = self._chosen(request)
        self._drawings.begin(chosen)
        return RedirectResponse(address("/plots", run=one.key if one else None), 303)

    def plot(self, request: Request) -> Response:
        """Respond with a plot as an image."""
        drawing = self._drawings.of(self._chosen(request)[0])
        svg = drawing.plots.get(request.query_params.get("name", "")) if drawing else None
        if svg is None:
            raise HTTPException(404, "This plot has not been drawn. Draw it on the Plots page.")
        headers = {"Content-Security-Policy": POLICY}
        return Response(svg, media_type="image/svg+xml", headers=headers)

    def _chosen(self, request: Request) -> tuple[Sequence[Opened], Opened | None]:
        """Return the requested runs (by default, all runs) and, if only one run is requested or
        open, that run."""
        if request.query_params.get("run") or len(self._runs) == 1:
            opened = self._run(request)
            return [opened], opened
        return [*self._runs.values()], None

    def _two(self, request: Request) -> tuple[Opened, Opened]:
        """Return the two requested runs; by default, two different runs if possible."""
        named = request.query_params.get("run")
        first = self._run(request) if named else next(iter(self._runs.values()))
        if request.query_params.get("with"):
            return first, self._run(request, "with")
        others = (opened for opened in self._runs.values() if opened is not first)
        return first, next(others, first)

    def _links(self, opened: Opened, shown: ConversationPage) -> Sequence[tuple[str, str]]:
        """Return the text and address of each link on a conversation's page."""
        others = [other for other in self._runs.values() if other is not opened]
        links = [
            (
                f"Compare with {key}",
                address("/pair", run=opened.key, id=shown.id, **{"with": key}, other=name),
            )
            for key, name in counterparts(opened, shown.id, others)
        ]
        if shown.experience is not None and shown.experience.shots:
            links.append(
                ("Lineage", address("/lineage", run=opened.key, focus=shown.experience.id))
            )
        return links

    def _run(self, request: Request, name: str = "run") -> Opened:
        """Return the run that a parameter names, or the first run if the parameter is missing."""
        key = request.query_params.get(name) or next(iter(self._runs))
        if key not in self._runs:
            raise HTTPException(404, "No run with this name is open in the viewer.")
        return self._runs[key]

    def _shown(self, opened: Opened, name: str, prefix: str = "") -> ConversationPage:
        """Return the page data of the conversation with this id."""
        try:
            if (outcome := opened.outcome(name)) is not None:
                return conversation_page(opened, name, outcome, prefix)
        except RunFolderError as error:
            raise HTTPException(409, f"{error}. Try again in a moment.") from error
        read = opened.scanner.progress()
        later = f" ({read.percent}% of the run has been indexed)" if read.percent < 100 else ""
        raise HTTPException(404, f"The run has no conversation with that id{later}.")

    def _page(self, template: str, request: Request, **values: Any) -> Response:
        return page(
            _PACKAGE,
            template,
            runs=self._runs,
            address=address,
            path=request.url.path,
            tabs=TABS,
            **FILTERS,
            **values,
        )
