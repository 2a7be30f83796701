"""Without a folder for temporary files the models still open."""

import tempfile

from model_hooks.scratch import name_temporary_folder


def refuse():
    raise FileNotFoundError("no usable temporary directory")


def test_a_folder_is_named_where_none_can_be_written_to(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    assert name_temporary_folder() == "/nowhere"
    assert tempfile.gettempdir() == "/nowhere"


def test_one_that_works_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert name_temporary_folder() == str(tmp_path)
