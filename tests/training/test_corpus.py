import pytest

from training.corpus import CorpusError, read_documents


def test_documents_are_split_at_the_separator_lines(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("One.\nTwo.\n<|endoftext|>\nThree é.\n<|endoftext|>\n", encoding="utf-8")
    assert read_documents(path) == ["One.\nTwo.", "Three é."]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no file"),
        (b"", "is empty"),
        (b" \n<|endoftext|>\n\n", "is empty"),
        (b"\x89PNG\x00\x01", "is binary"),
        ("Ein schöner Tag".encode("latin-1"), "is not UTF-8: byte 7 "),
    ],
)
def test_a_text_that_cannot_be_trained_on_gets_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=sentence) as caught:
        read_documents(path)
    assert "\n" not in str(caught.value)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="is a folder"):
        read_documents(tmp_path)
