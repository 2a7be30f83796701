"""Figures: plain arrays and strings in, `plotly.graph_objects.Figure` out."""
