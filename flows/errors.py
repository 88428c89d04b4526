"""Every error that flows raise on purpose: one page, each with its remedy.

FlowError
├── RecipeError           a recipe, an override or an argument does not say what it must
├── VerificationError     an exported checkpoint is not what was computed
├── EvaluationFileError   a file holds no evaluation, or not the model that is asked for
├── WorkError             the workers of a pool did not do what they were handed
│   ├── NoDeploymentError the server does not know the work that a pool should do
│   ├── WorkFailedError   a worker's run failed; it would again
│   └── WorkLostError     the workers were lost more often than is put up with
├── ScheduledRunsError    some of the recipes of a scheduled run failed
├── DeviceError           a GPU is asked for that is not there
└── ServerError           Prefect's server cannot be started or reached
    ├── HubStartError     the workspace's Hub cannot be started
    └── DeployError       the server refuses what it is told of the service

Messages are written where they are raised, as one paragraph: the value, the place, the remedy.
"""


class FlowError(Exception):
    """Base class: catch this to catch anything that a flow raises on purpose."""


class RecipeError(FlowError, ValueError):
    """A recipe, an override or an argument does not say what it must."""


class VerificationError(FlowError):
    """An exported checkpoint is not what was computed; nothing may use it."""


class EvaluationFileError(FlowError):
    """A file holds no evaluation, or not the model that is asked for."""


class WorkError(FlowError):
    """The workers of a pool did not do what they were handed."""


class NoDeploymentError(WorkError):
    """The server does not know the work that a pool should do."""


class WorkFailedError(WorkError):
    """A worker's run failed; it would again."""


class WorkLostError(WorkError):
    """The workers were lost more often than is put up with."""


class ScheduledRunsError(FlowError):
    """Some of the recipes of a scheduled run failed; the others were carried out."""


class DeviceError(FlowError, ValueError):
    """A GPU is asked for that is not there."""


class ServerError(FlowError):
    """Prefect's server cannot be started or reached."""


class HubStartError(ServerError):
    """The workspace's Hub cannot be started."""


class DeployError(ServerError):
    """The server refuses what it is told of the service: a deployment, a pool, an automation."""
