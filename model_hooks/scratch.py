"""Where may libraries leave temporary files, if the disk is full or nothing may be written?

Some ask for a temporary folder when they are imported, though they never write to it; without one
that works, Python refuses even to name one. Then one is named, and who writes is told at that time.
"""

import os
import tempfile


def name_temporary_folder() -> str:
    """Return the folder for temporary files, which may be one that nothing can be written to."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = os.path.abspath(os.environ.get("TMPDIR") or "/tmp")
        return tempfile.tempdir


name_temporary_folder()
