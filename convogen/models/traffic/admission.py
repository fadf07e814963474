"""A priority queue of attempts that wait for the budget."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from convogen.errors import BudgetReached, ConvogenError, ModelFault
from convogen.models.base import Request, Transient
from convogen.models.traffic.budget import Budget, Reservation
from convogen.records import Usage

__all__ = ["AdmissionQueue", "OnLost"]

OnLost = Callable[[Usage, int, float], None]
"""A function that is called if an attempt may be billed although no recorded reply reports its
usage. The arguments are the usage, the number of lost attempts, and the attempt's duration in
seconds. The number is 1 if no reply arrived, and 0 for an answered probe or a reply that reported
no usage."""

_Waiting = tuple[int, int, Request, "asyncio.Future[Reservation]"]
"""A waiting attempt. Attempts are ordered by priority, then by arrival."""


class AdmissionQueue:
    """A queue that admits attempts when the budget covers them.

    An attempt that the budget does not cover waits until attempts in flight have ended. The
    attempts behind it wait too, because small attempts could otherwise starve a larger attempt by
    an earlier task. If no attempt is in flight and the budget still does not cover the first
    attempt in the queue, the attempts behind it are admitted first. If the budget covers none of
    them either, the run ends.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self._waiting: list[_Waiting] = []
        self._arrivals = 0
        self._drained: asyncio.Event | None = None
        self._closed = False
        self._timer: asyncio.Timeout | None = None

    @asynccontextmanager
    async def attempt(
        self, request: Request, priority: int, on_lost: OnLost | None = None
    ) -> AsyncGenerator[Reservation]:
        """Reserve one attempt. The block must settle the reservation with the reply's usage.

        If the block raises an exception, the reservation is released, or counts as lost if the
        attempt may have been billed.

        Raises:
            BudgetReached: If the budget does not cover the attempt.
        """
        reservation = await self._admit(request, priority)
        try:
            yield reservation
            if not reservation.reported:
                _say(on_lost, reservation.estimate, 0, reservation)
        except BaseException as fault:
            if reservation.open and _billed(fault):
                _say(on_lost, reservation.lost(), 1, reservation)
            raise
        finally:
            if reservation.open:
                reservation.release()
            self._serve()

    @asynccontextmanager
    async def until_deadline(self) -> AsyncGenerator[None]:
        """Cancel the block and raise `BudgetReached` when the deadline passes, unless the queue is
        already being drained."""
        timer = self._timer = asyncio.timeout_at(self.budget.deadline)
        try:
            async with timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            raise BudgetReached("the deadline has passed", "--deadline") from None
        finally:
            self._timer = None

    async def drain(self) -> None:
        """Wait until no attempt is in flight; from now on, none is admitted.

        Attempts that wait for admission are cancelled in the end, as are all later attempts.
        """
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(None)  # the deadline would hide the error that ends the run
        self._drained = asyncio.Event()
        try:
            if self.budget.outstanding:
                await self._drained.wait()
        finally:
            self._closed = True
            for *_, admitted in self._waiting:
                admitted.cancel()
            self._waiting.clear()

    async def _admit(self, request: Request, priority: int) -> Reservation:
        if self._closed:
            raise asyncio.CancelledError
        if (
            self._drained is None
            and not self._waiting
            and (reservation := self.budget.admit(request)) is not None
        ):
            return reservation
        admitted: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (priority, self._arrivals, request, admitted))
        self._serve()
        try:
            return await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled() and admitted.exception() is None:
                admitted.result().release()
                self._serve()
            raise

    def _serve(self) -> None:
        """Admit waiting attempts in order, up to the first that must wait until other attempts
        end."""
        if self._drained is not None:
            if self.budget.outstanding == 0:
                self._drained.set()
            return
        budget, unfit = self.budget, list[_Waiting]()
        idle = budget.outstanding == 0
        while self._waiting and (idle or not unfit):
            waiting = heapq.heappop(self._waiting)
            _, _, request, admitted = waiting
            if admitted.done():
                continue
            if (reservation := budget.admit(request)) is not None:
                admitted.set_result(reservation)
            else:
                unfit.append(waiting)
        if idle and budget.outstanding == 0:
            for _, _, request, admitted in unfit:
                option, why = budget.shortage(request) or ("", "")
                admitted.set_exception(BudgetReached(why, option))
        else:
            for waiting in unfit:
                heapq.heappush(self._waiting, waiting)


def _say(on_lost: OnLost | None, usage: Usage, attempts: int, reservation: Reservation) -> None:
    if on_lost is not None:
        on_lost(usage, attempts, reservation.seconds)


def _billed(fault: BaseException) -> bool:
    """Return whether a failed attempt may have been billed."""
    if isinstance(fault, Transient | ModelFault):
        return fault.billed
    return not isinstance(fault, ConvogenError)
