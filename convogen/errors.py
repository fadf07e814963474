"""The exceptions of convogen.

    ConvogenError                 base of all exceptions that convogen raises
    ├── UserError                 a mistake that the user can correct; exit status 2
    │   ├── ExperimentError       invalid experiment file, key or override
    │   ├── SourceError           missing or malformed file of experiences, personas, prompts, …
    │   ├── ModelConfigError      no API key, unknown model, embedded model not installed
    │   ├── PluginError           an installed plugin that cannot be used
    │   ├── RunFolderError        run folder locked, unwritable, damaged or not made by convogen
    │   ├── ClusterError          no Ray cluster, or workers that cannot play the run
    │   └── LoopRunning           called in a notebook, where an event loop is running
    ├── RunStopped                a run that ended early; all replies received are kept
    │   ├── EndpointDown          unreachable, refusing the key, or failing after all retries
    │   ├── TooManyFailures       the experiment's limit on failures was reached
    │   ├── Hopeless              all of the first tasks or scores failed, or many in a row
    │   ├── TooManyRejected       the gates rejected more conversations than allowed
    │   ├── WorkersDied           the workers of a cluster kept dying, or none is left
    │   └── BudgetReached         another call would exceed the budget or miss the deadline
    └── ModelFault                a mistake of the model, recorded as a Failure

The message of a `UserError` is one line. It says what is wrong and where, what is allowed, and what
to do. A model's mistake never ends a run.
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
    """Base of all exceptions that convogen raises.

    `exit_status` is the exit status of a command that ends with the exception.
    """

    exit_status = 1


class UserError(ConvogenError):
    """A mistake that the user can correct; the message is one line."""

    exit_status = 2


class ExperimentError(UserError):
    """An experiment file, one of its keys or an override is invalid."""


class SourceError(UserError):
    """A file of experiences, personas, prompts or conversations is missing or malformed."""


class ModelConfigError(UserError):
    """A model cannot be used as configured: no API key, an unknown name, or not installed."""


class PluginError(UserError):
    """An installed plugin cannot be used: it fails to import or lacks something required."""


class RunFolderError(UserError):
    """A run folder is locked by another process, unwritable, damaged or not made by convogen."""


class ClusterError(UserError):
    """A Ray cluster cannot be reached, or its workers cannot play the run."""


class LoopRunning(UserError):
    """A function that runs an event loop was called inside one, as in a notebook."""


class RunStopped(ConvogenError):
    """A run ended before its data set was complete; repeating the command resumes the run."""


class EndpointDown(RunStopped):
    """An endpoint is unreachable, refuses the key, or keeps failing after all retries."""

    exit_status = 2


class TooManyFailures(RunStopped):
    """More tasks failed than the experiment allows."""


class Hopeless(RunStopped):
    """All of the first tasks or scores failed, or many in a row did; success is unlikely."""


class TooManyRejected(RunStopped):
    """The gates rejected more conversations than the experiment allows."""


class WorkersDied(RunStopped):
    """The workers of a cluster kept dying, or none is left."""


class BudgetReached(RunStopped):
    """Another call would exceed the budget or miss the deadline.

    `option` is the command-line option whose limit was reached.
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class ModelFault(ConvogenError):
    """A model's mistake that remained after all retries; the task becomes a `Failure` row.

    `kind` is a short name used in counts, and `evidence` is the text that shows the mistake.
    `billed` says whether the call may have been charged although no reply arrived. `attempts` is
    the number of requests sent to an endpoint.
    """

    attempts: int = 1

    def __init__(
        self, kind: str, message: str, evidence: str = "", *, billed: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.evidence = evidence
        self.billed = billed
