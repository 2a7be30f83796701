"""How are facts of both runs set side by side, on screen and in a file?"""

import html
from collections.abc import Sequence

import pandas as pd

from model_hooks.experiments.race import SideBySide, TimedRun


def facts_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a small HTML table whose first column names the rows."""
    names = "".join(f"<th scope='col'>{html.escape(cell)}</th>" for cell in head)
    body = "".join(map(_row, rows))
    return (
        f"<div class='facts'><table><thead><tr>{names}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(cells: Sequence[str]) -> str:
    name, *rest = map(html.escape, cells)
    return f"<tr><th scope='row'>{name}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"


def steps_of(pair: SideBySide) -> pd.DataFrame:
    """Return every step of both runs, one per line."""
    return pd.concat([_steps_of_run(pair.on), _steps_of_run(pair.off)])


def _steps_of_run(run: TimedRun) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "step": i,
            "position": step.pos,
            "token_id": step.token_id,
            "positions_computed": step.rows_computed,
            "positions_read": step.rows_read,
            "seconds": step.seconds,
            "flop": step.flops,
            "cache_bytes": step.cache_bytes,
            "cache": "on" if run.use_cache else "off",
        }
        for i, step in enumerate(run.steps, 1)
    )
