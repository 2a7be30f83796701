"""What can go wrong, each with one plain sentence for the person who typed the prompt."""


class InlookError(Exception):
    """Base of every error whose text may be shown to a user as it stands."""


class ModelError(InlookError):
    """A model that cannot be loaded or looked into."""


class ModelNotFoundError(ModelError):
    """No bundled model, local directory or reachable Hub repository has that name."""


class NotCausalError(ModelError):
    """The checkpoint is not a causal language model."""


class BrokenModelError(ModelError):
    """The files are there but damaged, incomplete or not safetensors."""


class ModelTooLargeError(ModelError):
    """The weights would not fit into the memory that is free."""


class NotRecordableError(ModelError):
    """The model runs, but has nothing of the kind Inlook records (no attention at all)."""


class PromptError(InlookError, ValueError):
    """A prompt that this model cannot run: empty, too long, or with a token ID out of range."""


class RunError(PromptError):
    """A text that the model fails to run, or whose values are not numbers."""


class DecodingError(InlookError, ValueError):
    """A decoding option out of its range."""


class LayerError(InlookError, IndexError):
    """A layer or head that this model lacks, or a layer without what is asked for."""


class InterventionError(InlookError, ValueError):
    """Something to change that this model or text lacks, or that cannot be changed in it."""


class NotSiblingsError(ModelError, ValueError):
    """Two models of which one is no fine-tuned copy of the other, or a scale out of its range."""


class TraceFileError(InlookError):
    """A file that a trace cannot be read from, or a place that it cannot be written to."""


class ComparisonError(InlookError, ValueError):
    """Two runs of which one cannot be subtracted from the other."""


class AwayError(InlookError):
    """The machine that runs the models gives no answer; nothing is wrong with what was asked."""


class UnreachableError(AwayError):
    """Nobody answers at its address, or it broke off."""


class TooSlowError(AwayError):
    """It did not answer in time."""


class TooBusyError(AwayError):
    """So many wait already that it takes no more."""


class WrongTokenError(AwayError):
    """It does not know who asks."""


class VersionsError(AwayError):
    """It runs another version of Inlook, so that one would not understand the other."""


class HostFailedError(AwayError):
    """It came to an error that nobody foresaw, or its answer cannot be read."""
