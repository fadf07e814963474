"""The exceptions of convogen.

    ConvogenError                 base class of all exceptions that convogen raises deliberately
    ├── UserError                 the user can correct the problem; exit status 2
    │   ├── ExperimentError       an experiment file, key or override is invalid
    │   ├── SourceError           a data, experience, persona or prompt file is missing or invalid
    │   ├── ModelConfigError      a model is unknown or not installed, or its API key is missing
    │   ├── PluginError           an installed plugin cannot be used
    │   ├── RunFolderError        a folder is locked, unwritable, damaged or not a run folder
    │   ├── ClusterError          there is no Ray cluster, or its workers cannot play the run
    │   └── LoopRunning           a blocking function was called inside a running event loop
    ├── RunStopped                a run ended early; all replies received are kept
    │   ├── EndpointDown          an endpoint is unreachable, refuses the key or keeps failing
    │   ├── TooManyFailures       more tasks failed than max_failures allows
    │   ├── Hopeless              all of the first tasks or scores failed, or many in a row did
    │   ├── TooManyRejected       gates rejected more conversations than max_rejected allows
    │   ├── WorkersDied           the workers of a cluster kept dying, or none is left
    │   └── BudgetReached         another call would exceed the budget or miss the deadline
    └── ModelFault                a model error remained after all retries; recorded as a failure

The message of a `UserError` is one line that states what is wrong, where, what is allowed, and what
to do. `EndpointDown` also gives exit status 2. A single model error never ends a run.
"""

from __future__ import annotations

__all__ = [
    "BudgetReached",
    "ClusterError",
    "ConvogenError",
    "EndpointDown",
    "ExperimentError",
    "Hopeless",
    "LoopRunning",
    "ModelConfigError",
    "ModelFault",
    "PluginError",
    "RunFolderError",
    "RunStopped",
    "SourceError",
    "TooManyFailures",
    "TooManyRejected",
    "UserError",
    "WorkersDied",
]


class ConvogenError(Exception):
    """Base class of all exceptions that convogen raises deliberately.

    `exit_status` is the exit status of a command that the exception ends.
    """

    exit_status = 1


class UserError(ConvogenError):
    """The user can correct the problem; the message is one line."""

    exit_status = 2


class ExperimentError(UserError):
    """An experiment file, a key in it or an override is invalid."""


class SourceError(UserError):
    """A file with experiences, personas, prompts or conversations is missing or invalid."""


class ModelConfigError(UserError):
    """A model is unknown or not installed, or its API key is missing."""


class PluginError(UserError):
    """An installed plugin cannot be used: its import fails or a required part is missing."""


class RunFolderError(UserError):
    """A folder is locked by another process, unwritable, damaged or not a run folder."""


class ClusterError(UserError):
    """There is no Ray cluster, or its workers cannot play the run."""


class LoopRunning(UserError):
    """A blocking function was called inside a running event loop, for example in a notebook."""


class RunStopped(ConvogenError):
    """A run ended before its data set was complete. To resume the run, repeat the command."""


class EndpointDown(RunStopped):
    """An endpoint is unreachable, refuses the API key, or still fails after all retries."""

    exit_status = 2


class TooManyFailures(RunStopped):
    """More tasks failed than `max_failures` allows."""


class Hopeless(RunStopped):
    """All of the first tasks or scores failed, or many in a row did, so success is unlikely."""


class TooManyRejected(RunStopped):
    """The gates rejected more conversations than `max_rejected` allows."""


class WorkersDied(RunStopped):
    """The workers of a Ray cluster kept dying, or none is left."""


class BudgetReached(RunStopped):
    """Another call would exceed the budget or miss the deadline.

    `option` is the command-line option whose limit was reached.
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class ModelFault(ConvogenError):
    """A model error remained after all retries; the task becomes a `Failure` row.

    `kind` is a short name for the kind of error, used in counts, and `evidence` is the text that
    shows the error. `billed` says whether the call may have been charged although no reply arrived.
    `attempts` is the number of requests that were sent to the endpoint.
    """

    attempts: int = 1

    def __init__(
        self, kind: str, message: str, evidence: str = "", *, billed: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.evidence = evidence
        self.billed = billed
