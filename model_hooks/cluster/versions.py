"""Do both sides speak of the same questions and values?"""

import functools
import hashlib

from model_hooks.cluster.listed import fields_of, hints_of, questions, records
from model_hooks.versions import inlook_version


@functools.cache
def spoken() -> str:
    """Return the version of Inlook, and a fingerprint of the questions and of what travels."""
    said = [f"{name} {hints_of(one)}" for name, one in sorted(questions().items())]
    said += [f"{name} {fields_of(kind)} {hints_of(kind)}" for name, kind in records().items()]
    return f"{inlook_version()}+{hashlib.sha256(repr(sorted(said)).encode()).hexdigest()[:8]}"


def why_not(here: str, there: str) -> str | None:
    """Say what is to be done where two versions differ; None where they do not."""
    if here == there:
        return None
    alike = here.partition("+")[0] == there.partition("+")[0]
    return (
        f"The machine that runs the models has Inlook {there or 'of an unknown version'}, and this "
        f"server has {here}: "
        + ("both are called alike, but their code differs; " if alike else "")
        + "whoever runs them has to bring both to one version."
    )
