"""One transformer block as a wiring diagram: the residual stream and what its two parts add."""

from typing import Literal

import plotly.graph_objects as go

from viz import theme

BOX_WIDTH, BOX_HEIGHT = 2.9, 1.5
STREAM_Y = 0.0


def block_diagram(
    wiring: Literal["sequential", "post", "parallel", "unknown"],
    *,
    resid_pre: float,
    attn_out: float | None,
    mlp_out: float | None,
    resid_post: float,
    together: float | None = None,
    norm: str = "",
    norm_placement: str = "pre",
    mixer: str = "Attention",
) -> go.Figure:
    """Draw how attention and feedforward meet the residual stream, with the sizes for one token.

    Args:
        wiring: `sequential` (one after the other), `post` (a norm on the stream after each sum) or
            `parallel` (both read the same input); `unknown` has one box for both parts.
        resid_pre: Size (norm) of the stream that enters.
        attn_out: Size of what attention adds; None in a block without it.
        mlp_out: Size of what the feedforward adds; None in a block without it.
        resid_post: Size of the stream that leaves.
        together: Size of what both add, for the one box of an unknown wiring.
        norm: The kind of normalisation, such as `RMSNorm`; empty to leave it out.
        norm_placement: `pre`, `post`, or `pre and post` where parts are normalised on both sides.
        mixer: What the first part is called where it is not attention.
    """
    place = {"pre": "before it", "pre and post": "around it"}.get(norm_placement)
    words = f"{norm} {place}" if norm and place and wiring != "post" else ""
    parallel, post_norm = wiring == "parallel", wiring == "post" and norm != ""
    stream = go.Scatter(
        x=[0, 10], y=[STREAM_Y, STREAM_Y], mode="lines", hoverinfo="skip",
        line={"color": theme.RESIDUAL, "width": 7},
    )  # fmt: skip
    traces, boxes = [stream], []
    notes = [
        _text(0.0, -0.4, f"enters: {resid_pre:.3g}", "left"),
        _text(10.0, -0.4, f"leaves: {resid_post:.3g}", "right"),
    ]
    parts = [
        (mixer, 1.0, 1.5, attn_out, theme.ATTENTION),
        ("Feedforward", *((1.0, -1.5) if parallel else (5.3, 1.5)), mlp_out, theme.FEEDFORWARD),
    ]
    if wiring == "unknown":
        parts = [(f"{mixer} and more", 3.0, 1.5, together, theme.RESIDUAL)]
    for name, x, y, size, color in parts:
        if size is None:
            continue
        end = 6.6 if parallel else x + 3.6
        left, right = x + 0.35, x + 0.35 + BOX_WIDTH
        traces += [_branch(x, left, right, end, y, color), _plus(end, name, size, color)]
        boxes.append(
            {"type": "rect", "x0": left, "x1": right, "y0": y - BOX_HEIGHT / 2,
             "y1": y + BOX_HEIGHT / 2, "line": {"color": color, "width": 2}}
        )  # fmt: skip
        detail = f"<br><span style='font-size:0.8em'>{words}</span>" if words else ""
        text = f"<b>{name}</b><br>adds <b>{size:.3g}</b>{detail}"
        notes.append(_text((left + right) / 2, y, text, "center"))
        if post_norm:
            traces.append(_norm_on_stream(end + 0.5))
            notes.append(_text(end + 0.5, -0.95, norm, "center" if x < 5 else "right"))
    bottom = -2.4 if parallel else -1.3 if post_norm else -0.8
    return go.Figure(
        traces,
        {
            "xaxis": {"visible": False, "range": [-0.15, 10.15], "fixedrange": True},
            "yaxis": {"visible": False, "range": [bottom, 2.4], "fixedrange": True},
            "shapes": boxes,
            "annotations": notes,
            "height": 330 if parallel else 230,
            "showlegend": False,
            "margin": {"l": 2, "r": 2, "t": 2, "b": 2},
        },
    )


def _branch(
    start: float, left: float, right: float, end: float, y: float, color: str
) -> go.Scatter:
    """A line from the stream into a box, and from the box back to the stream."""
    return go.Scatter(
        x=[start, start, left, None, right, end, end],
        y=[STREAM_Y, y, y, None, y, y, STREAM_Y],
        mode="lines", hoverinfo="skip", line={"color": color, "width": 2},
    )  # fmt: skip


def _plus(x: float, name: str, size: float, color: str) -> go.Scatter:
    """Where a part is added to the stream."""
    return go.Scatter(
        x=[x], y=[STREAM_Y], mode="markers+text", text=["<b>+</b>"], textposition="middle center",
        marker={"size": 20, "color": color}, textfont={"color": "white", "size": 16},
        hovertemplate=f"{name} adds a vector of size {size:.4g}<extra></extra>",
    )  # fmt: skip


def _norm_on_stream(x: float) -> go.Scatter:
    return go.Scatter(
        x=[x], y=[STREAM_Y], mode="markers", hoverinfo="skip",
        marker={"symbol": "square", "size": 18, "color": theme.RESIDUAL},
    )  # fmt: skip


def _text(x: float, y: float, text: str, align: str) -> dict:
    return {"x": x, "y": y, "text": text, "showarrow": False, "xanchor": align,
            "font": {"size": 14}}  # fmt: skip
