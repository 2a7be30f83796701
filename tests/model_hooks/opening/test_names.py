"""What somebody types or pastes stands for a model, and a path is said in one word."""

import pytest

from model_hooks.opening.names import meant_by, short_name, without_adapter


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (" openai-community/gpt2 ", "openai-community/gpt2"),
        ('"/home/me/my model"', "/home/me/my model"),
        ("'C:\\models\\mine'", "C:\\models\\mine"),
        ("“/home/me/model”", "/home/me/model"),
        ("file:///home/me/model", "/home/me/model"),
        ("https://huggingface.co/org/name", "org/name"),
        ("https://huggingface.co/org/name/", "org/name"),
        ("huggingface.co/org/name/tree/main?library=transformers", "org/name"),
        ("https://hf.co/org/name#how-to-use", "org/name"),
        ("https://huggingface.co/org/name/blob/main/m.Q4_0.gguf", "org/name:m.Q4_0.gguf"),
        ("https://huggingface.co/org/name/resolve/main/m.gguf?download=true", "org/name:m.gguf"),
        ("org/name:m.gguf", "org/name:m.gguf"),
        ("", ""),
        ('""', ""),
    ],
)
def test_what_is_typed_stands_for_a_model(typed, name):
    assert meant_by(typed) == name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("/home/me/models/mine", "mine"),
        ("/home/me/models/mine/", "mine"),
        ("~/models/mine", "mine"),
        ("../mine", "mine"),
        ("./mine", "mine"),
        ("C:\\models\\mine", "mine"),
        ("some/folder/mine.gguf", "mine.gguf"),
        ("org/name", "org/name"),
        ("org/name:m.gguf", "org/name:m.gguf"),
        ("storyteller", "storyteller"),
        (without_adapter("/home/me/lora"), without_adapter("lora")),
        ("/", "/"),
    ],
)
def test_a_path_is_said_by_its_last_part(name, short):
    assert short_name(name) == short
