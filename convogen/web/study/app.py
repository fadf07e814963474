"""The web application for a study.

/               asks a participant for the code
/study          shows the participant's next step, and accepts the answer
/study/waiting  reports whether the chatbot's reply is still being written
/leave          signs this browser out
/progress       is the researcher's page; needs the token if other machines can reach the server
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from convogen.models.base import ChatModel
from convogen.models.opening import open_model
from convogen.models.spec import ModelSpec
from convogen.study.chatbot import Chatbot
from convogen.study.plan import plan_study
from convogen.study.store import STORE_FILE, Store
from convogen.study.study_file import CollectDesign
from convogen.study.study_yaml import DESIGN_FILE, load_design
from convogen.study.withdrawing import JOURNALS
from convogen.web.access import Access
from convogen.web.app import application
from convogen.web.protection import Protection
from convogen.web.study import entry, participant, researcher
from convogen.web.study.limiter import Limiter
from convogen.web.study.replies import Replies
from convogen.web.study.site import PACKAGE, STUDY, Site

__all__ = ["study_app"]


def study_app(
    folder: Path,
    access: Access,
    *,
    hosts: frozenset[str] = frozenset(),
    open_model: Callable[[ModelSpec], ChatModel] = open_model,
) -> Protection:
    """Return the application for the study in a folder.

    Args:
        folder: The study's folder, created by `convogen study new`.
        access: Access control for the researcher's page.
        hosts: The allowed host names; an empty set allows every name.
        open_model: Function that opens the chatbot's model.

    Raises:
        SourceError: The folder contains no study, or a key in the design is invalid.
        ModelConfigError: The budget for the chatbot requires a price that is unknown.
    """
    design, store = load_design(folder), Store(folder / STORE_FILE)
    plan_study(design, store, folder / DESIGN_FILE)
    study: str = store.meta("study")
    replies = None
    if isinstance(design, CollectDesign):
        chatbot = Chatbot(design, folder / JOURNALS, study, open_model)
        replies = Replies(chatbot, store, len(design.goals))
    site = Site(design, store, access, Limiter(), replies, secret=study.encode())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        app.state.site = site
        yield
        if replies is not None:
            await replies.close()
        store.close()

    routes = [
        Route("/", entry.ask_code),
        Route("/enter", entry.enter, methods=["POST"]),
        Route("/leave", entry.leave, methods=["POST"]),
        Route(STUDY, participant.show, methods=["GET"]),
        Route(STUDY, participant.take, methods=["POST"]),
        Route(f"{STUDY}/waiting", participant.waiting),
        Route("/progress", researcher.progress),
        Route("/progress/forget", researcher.forget, methods=["POST"]),
    ]
    return application(PACKAGE, routes, hosts=hosts, lifespan=lifespan)
