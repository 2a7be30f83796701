"""How does an error that nobody foresaw reach the log, and a stranger, without anybody's text?

An exception's words may hold a prompt. On a public server the log says what kind it was and where
it was raised, and the page says that something went wrong.
"""

import logging
import traceback

import streamlit as st
from streamlit import config

SENTENCE = (
    "Something went wrong on this server. Reload the page, or take another model or prompt; the "
    "address still holds what you looked at."
)
_LOGGERS = ("streamlit.error_util", "streamlit.runtime.scriptrunner.script_runner")


class _WithoutWords(logging.Filter):
    """Replaces an exception in a record by its kind and place."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            record.msg, record.args = f"{type(error).__name__}{where}", ()
            record.exc_info = record.exc_text = None
        return True


def keep_words_out() -> None:
    """Keep the words of exceptions out of the log and of the pages from now on."""
    config.set_option("client.showErrorDetails", "none")
    config.set_option("logger.enableRich", False)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _WithoutWords) for one in logger.filters):
            logger.addFilter(_WithoutWords())


def say_sorry(error: Exception) -> bool:
    """Show the sentence in place of an exception."""
    st.error(SENTENCE, icon=":material/error:")
    return True
