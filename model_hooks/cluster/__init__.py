"""How does a question reach a model on another machine, and its answer the page?

`wire` makes bytes of values, `asking` of questions and answers, `listed` says which there are.
`client` asks over HTTP, `serving` answers, and `ray_app` puts `serving` on a Ray Serve cluster. Ray
is imported by the last one alone, when it is started.
"""
