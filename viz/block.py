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
    attn_out: float,
    mlp_out: float,
    resid_post: float,
    norm: str = "",
    norm_placement: str = "pre",
    mixer: str = "Attention",
) -> go.Figure:
    """Draw how attention and feedforward meet the residual stream, with the sizes for one token.

    Args:
        wiring: `sequential` (one after the other), `post` (a norm on the stream after each sum) or
            `parallel` (both read the same input); `unknown` is drawn like `sequential`.
        resid_pre: Size (norm) of the stream that enters.
        attn_out: Size of what attention adds.
        mlp_out: Size of what the feedforward adds.
        resid_post: Size of the stream that leaves.
        norm: The kind of normalisation, such as `RMSNorm`; empty to leave it out.
        norm_placement: `pre`, `post`, or `pre and post` where parts are normalised on both sides.
        mixer: What the first part is called where it is not attention.
    """
    figure = go.Figure()
    place = {"pre": "before it", "pre and post": "around it"}.get(norm_placement)
    words = f"{norm} {place}" if norm and place and wiring != "post" else ""
    figure.add_scatter(
        x=[0, 10], y=[STREAM_Y, STREAM_Y], mode="lines", hoverinfo="skip",
        line={"color": theme.RESIDUAL, "width": 7},
    )  # fmt: skip
    _text(figure, 0.0, -0.4, f"enters: {resid_pre:.3g}", "left")
    _text(figure, 10.0, -0.4, f"leaves: {resid_post:.3g}", "right")
    parallel = wiring == "parallel"
    second_y = -1.5 if parallel else 1.5
    second_x = 1.0 if parallel else 5.3
    for name, x, y, size, color in (
        (mixer, 1.0, 1.5, attn_out, theme.ATTENTION),
        ("Feedforward", second_x, second_y, mlp_out, theme.FEEDFORWARD),
    ):
        _branch(figure, name, words, x, y, size, color, end=6.6 if parallel else x + 3.6)
        if wiring == "post" and norm:
            figure.add_scatter(
                x=[x + 4.1], y=[STREAM_Y], mode="markers", hoverinfo="skip",
                marker={"symbol": "square", "size": 18, "color": theme.RESIDUAL},
            )  # fmt: skip
            _text(figure, x + 4.1, -0.95, norm, "center" if x < 5 else "right")
    figure.update_xaxes(visible=False, range=[-0.15, 10.15], fixedrange=True)
    bottom = -2.4 if parallel else -1.3 if wiring == "post" else -0.8
    figure.update_yaxes(visible=False, range=[bottom, 2.4], fixedrange=True)
    return figure.update_layout(
        height=330 if parallel else 230, showlegend=False, margin={"l": 2, "r": 2, "t": 2, "b": 2}
    )


def _branch(
    figure: go.Figure, name: str, words: str, x: float, y: float, size: float, color: str,
    end: float,
) -> None:  # fmt: skip
    """Draw one part: a line up from the stream, its box, and an arrow back into the sum."""
    left, right = x + 0.35, x + 0.35 + BOX_WIDTH
    figure.add_scatter(
        x=[x, x, left, None, right, end, end], y=[STREAM_Y, y, y, None, y, y, STREAM_Y],
        mode="lines", hoverinfo="skip", line={"color": color, "width": 2},
    )  # fmt: skip
    figure.add_shape(
        type="rect", x0=left, x1=right, y0=y - BOX_HEIGHT / 2, y1=y + BOX_HEIGHT / 2,
        line={"color": color, "width": 2},
    )  # fmt: skip
    detail = f"<br><span style='font-size:0.8em'>{words}</span>" if words else ""
    text = f"<b>{name}</b><br>adds <b>{size:.3g}</b>{detail}"
    _text(figure, left + BOX_WIDTH / 2, y, text, "center")
    figure.add_scatter(
        x=[end], y=[STREAM_Y], mode="markers+text", text=["<b>+</b>"], textposition="middle center",
        marker={"size": 20, "color": color}, textfont={"color": "white", "size": 16},
        hovertemplate=f"{name} adds a vector of size {size:.4g}<extra></extra>",
    )  # fmt: skip


def _text(figure: go.Figure, x: float, y: float, text: str, align: str) -> None:
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, xanchor=align, font={"size": 14})
