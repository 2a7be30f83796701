"""How is a model named that is opened without the adapter that sits on it?"""

WITHOUT = " without its adapter"
"""After an adapter's name: the model that it sits on, alone."""


def with_adapter(name: str) -> str:
    """Return the name of an adapter, also where its model alone is named."""
    return name.removesuffix(WITHOUT)


def without_adapter(name: str) -> str:
    """Return the name of the model that an adapter sits on, alone."""
    return with_adapter(name) + WITHOUT
