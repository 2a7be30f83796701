"""Did type errors come up anywhere? Each folder has a number of them that may only fall.

    python .ci/check_types.py           # compare with the numbers in type_errors.json
    python .ci/check_types.py --lower   # and write down those that fell

`tests` has no number: it reads figures as Plotly keeps them, which has no types that pyright knows.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = ROOT / ".ci" / "type_errors.json"


class TypeFault(NamedTuple):
    """One error of pyright's."""

    path: str
    """From the root of the repository, with slashes."""
    line: int
    message: str


def by_folder(faults: Iterable[TypeFault], folders: Iterable[str]) -> Mapping[str, list[TypeFault]]:
    """Sort errors into the folders that hold them, the innermost that has a number."""
    found = {folder: [] for folder in sorted(folders, key=len, reverse=True)}
    found["elsewhere"] = []
    for fault in faults:
        inside = (f for f in found if fault.path == f or fault.path.startswith(f + "/"))
        found[next(inside, "elsewhere")].append(fault)
    return found


def pyright() -> list[TypeFault]:
    """Ask pyright for the errors of all folders that pyproject.toml names.

    Raises:
        RuntimeError: It could not run.
    """
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pyright could not run (it needs node):\n{done.stdout}{done.stderr}")
    return [
        TypeFault(
            Path(found["file"]).relative_to(ROOT).as_posix(),
            found["range"]["start"]["line"] + 1,
            found["message"],
        )
        for found in json.loads(done.stdout)["generalDiagnostics"]
        if found["severity"] == "error"
    ]


def main() -> int:
    """Compare, say what rose or fell, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lower", action="store_true", help="write down the numbers that fell")
    options = parser.parse_args()
    allowed = defaultdict(int, json.loads(NUMBERS.read_text(encoding="utf-8")))
    found = by_folder(pyright(), allowed)
    rose = [folder for folder, faults in found.items() if len(faults) > allowed[folder]]
    fell = [folder for folder, faults in found.items() if len(faults) < allowed[folder]]
    for folder in rose:
        print(f"{folder}: {len(found[folder])} type errors, {allowed[folder]} are allowed:")
        for path, line, message in found[folder]:
            print(f"  {path}:{line}: {message}".replace("\n", "\n    "))
    for folder in fell:
        print(f"{folder}: {len(found[folder])} type errors left of {allowed[folder]}")
        allowed[folder] = len(found[folder])
    if fell and options.lower:
        kept = {folder: number for folder, number in allowed.items() if folder != "elsewhere"}
        NUMBERS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    elif fell:
        print("Write the lower numbers down: python .ci/check_types.py --lower")
    if not rose and not fell:
        print(f"Types: {sum(map(len, found.values()))} errors, none new.")
    return 1 if rose else 0


if __name__ == "__main__":
    sys.exit(main())
