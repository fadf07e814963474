"""The exceptions of convogen.

    ConvogenError                 everything raised on purpose
    ├── UserError                 a mistake that the user can correct; exit status 2
    │   ├── ExperimentError       an experiment file, a key in it or an override
    │   ├── SourceError           experiences, personas, prompts or a corpus file
    │   ├── ModelConfigError      no key, unknown model, embedded model not installed
    │   ├── PluginError           an installed plugin that cannot be used
    │   ├── RunFolderError        run folder not convogen's, locked, unwritable or damaged
    │   ├── ClusterError          no Ray cluster, or workers that cannot play the run
    │   └── LoopRunning           called in a notebook, whose event loop is running
    ├── RunStopped                a run that ended early; all replies received are kept
    │   ├── EndpointDown          unreachable, refusing the key, or failing after all retries
    │   ├── TooManyFailures       the experiment's limit on failures was reached
    │   ├── Hopeless              the first tasks or scores, or many in a row, all failed
    │   ├── TooManyRejected       the gates rejected more conversations than allowed
    │   ├── WorkersDied           the workers of a cluster kept dying, or none is left
    │   └── BudgetReached         no further call fits into the budget or before the deadline
    └── ModelFault                what the model got wrong: becomes a recorded Failure

The message of a `UserError` is one line: what, where, what is allowed and what to do. A model's
fault never ends a run.
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
    """Base of all exceptions that convogen raises; `exit_status` is for the command line."""

    exit_status = 1


class UserError(ConvogenError):
    """A mistake that the user can correct; printed in one line."""

    exit_status = 2


class ExperimentError(UserError):
    """An experiment file, a key in it or an override is wrong."""


class SourceError(UserError):
    """A file of experiences, personas, prompts or conversations is missing or malformed."""


class ModelConfigError(UserError):
    """A model cannot be used as configured: no key, unknown name, not installed."""


class PluginError(UserError):
    """An installed plugin cannot be used: it fails to import or lacks something required."""


class RunFolderError(UserError):
    """A run folder is not convogen's, locked by another process, unwritable or damaged."""


class ClusterError(UserError):
    """A Ray cluster cannot be reached, or its workers cannot play the run."""


class LoopRunning(UserError):
    """A function that runs an event loop was called inside one, as in a notebook."""


class RunStopped(ConvogenError):
    """A run ended before its data set was complete; running it again resumes it."""


class EndpointDown(RunStopped):
    """An endpoint is unreachable, refuses the key, or keeps failing after all retries."""

    exit_status = 2


class TooManyFailures(RunStopped):
    """More tasks failed than the experiment allows."""


class Hopeless(RunStopped):
    """All first tasks or scores failed, or many in a row: the setup cannot work."""


class TooManyRejected(RunStopped):
    """The gates rejected more conversations than the experiment allows."""


class WorkersDied(RunStopped):
    """The workers of a cluster kept dying, or none of them is left."""


class BudgetReached(RunStopped):
    """No further call fits into the budget or before the deadline.

    `option` is the command-line option to raise or extend.
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class ModelFault(ConvogenError):
    """A model's mistake that bounded retries did not fix; the task becomes a `Failure` row.

    `kind` is a short name for counting, and `evidence` the text that shows the fault. `billed` says
    whether the call may have been charged although no reply arrived. `attempts` is the number of
    requests sent to an endpoint.
    """

    attempts: int = 1

    def __init__(
        self, kind: str, message: str, evidence: str = "", *, billed: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.evidence = evidence
        self.billed = billed
