"""The viewer's addresses, and what each answers with.

A run is named by its key, a conversation by its id: both are looked up, and neither is part of a
path. Every page is asked for with GET and changes nothing but the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from convogen.errors import RunFolderError
from convogen.web.access import Access
from convogen.web.app import application
from convogen.web.pages import page
from convogen.web.protection import Protection
from convogen.web.viewer.conversation import conversation_page
from convogen.web.viewer.formats import FILTERS, duration_text, usd_text
from convogen.web.viewer.listing import listing
from convogen.web.viewer.live import state_of
from convogen.web.viewer.opened import Opened, Outcome
from convogen.web.viewer.query import Query

__all__ = ["viewer"]

_PACKAGE = "convogen.web.viewer"
TABS = [("/", "Conversations")]
"""The pages of a run, and what they are called."""


def viewer(
    runs: Sequence[Opened], access: Access | None = None, hosts: frozenset[str] = frozenset()
) -> Protection:
    """Return the application that shows runs.

    Args:
        runs: What is shown; `watch.watching` keeps their indexes up to date.
        access: Who may see the pages; everybody if it is not given.
        hosts: The names that the server answers to.
    """
    pages = Pages(runs)
    guard = access or Access()

    def route(path: str, answer: Callable[[Request], Response]) -> Route:
        def guarded(request: Request) -> Response:
            return guard.refusal(request) or answer(request)

        return Route(path, guarded, methods=["GET"])

    return application(
        _PACKAGE,
        [
            route("/", pages.list),
            route("/conversation", pages.conversation),
            route("/live", pages.live),
            *(route(path, answer) for path, answer in pages.comparisons()),
        ],
        hosts=hosts,
    )


class Pages:
    """What each address answers with."""

    def __init__(self, runs: Sequence[Opened]) -> None:
        self._runs = {opened.key: opened for opened in runs}

    def list(self, request: Request) -> Response:
        """Answer with the conversations that the parameters ask for."""
        chosen = [self._run(request)] if request.query_params.get("run") else [*self._runs.values()]
        found = listing(chosen, Query.of(request.query_params))
        return self._page(
            "list.html", request, found=found, run=chosen[0] if len(chosen) == 1 else None
        )

    def conversation(self, request: Request) -> Response:
        """Answer with one conversation, or what a task failed with."""
        opened = self._run(request)
        outcome = self._outcome(opened, name := request.query_params.get("id", ""))
        shown = conversation_page(opened, name, outcome)
        return self._page("conversation.html", request, shown=shown, run=opened, links=[])

    def live(self, request: Request) -> Response:
        """Answer with the state of a run, for the script that polls it."""
        return JSONResponse(live_fields(self._run(request)))

    def comparisons(self) -> list[tuple[str, Callable[[Request], Response]]]:
        """Return the further addresses."""
        return []

    def _run(self, request: Request, name: str = "run") -> Opened:
        """Return the run that a parameter names."""
        key = request.query_params.get(name, "")
        if not key and len(self._runs) == 1:
            return next(iter(self._runs.values()))
        if key not in self._runs:
            raise HTTPException(404, "No such run is open here.")
        return self._runs[key]

    def _outcome(self, opened: Opened, name: str) -> Outcome:
        try:
            outcome = opened.outcome(name)
        except RunFolderError as error:
            raise HTTPException(409, f"{error}. Try again in a moment.") from error
        if outcome is None:
            read = opened.scanner.progress()
            later = f" (so far {read.percent}% of it is read)" if read.percent < 100 else ""
            raise HTTPException(404, f"The run has no conversation of that id{later}.")
        return outcome

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


def address(path: str, **values: Any) -> str:
    """Return a path with parameters; those that are None or empty are left out."""
    given = {name: value for name, value in values.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def live_fields(opened: Opened) -> dict[str, Any]:
    """Return the state of a run as texts by the names of the places that show them."""
    state = state_of(opened)
    total = sum(state.counts.values())
    return {
        "state": state.state,
        "rows": total,
        "percent": state.percent,
        "read": state.read.percent,
        "texts": {
            "state": state.state,
            "done": f"{state.done:,}" + (f" of {state.wanted:,}" if state.wanted else ""),
            "failures": f"{state.counts['failed']:,}",
            "rejected": f"{state.counts['rejected']:,}",
            "rate": "–" if state.rate is None else f"{state.rate:.3g} per minute",
            "left": "–" if state.left_s is None else duration_text(state.left_s),
            "cost": usd_text(state.usd),
            "tokens": f"{state.tokens:,}",
            "quiet": duration_text(state.quiet_s),
            "flight": f"{state.in_flight} under way, {state.waiting} waiting",
            "read": f"{state.read.percent}%",
        },
    }
