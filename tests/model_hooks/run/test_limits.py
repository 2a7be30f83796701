"""How long a text a model is said to read, against the longest that the plain model runs."""

import pytest
import torch

from model_hooks import HookedModel, PromptError
from tests.tiny_models import build, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals


def longest_that_runs(plain, most: int) -> int:
    for length in range(1, most + 1):
        try:
            with torch.no_grad():
                plain(torch.tensor([[50] * length]), use_cache=False)
        except (IndexError, RuntimeError):
            return length - 1
    return most


@pytest.mark.parametrize(
    "model_type", ["roberta", "xlm-roberta-xl", "camembert", "data2vec-text", "gpt2", "opt"]
)
def test_the_context_ends_where_the_plain_model_fails(model_type):
    plain = build(model_type, max_position_embeddings=16, n_positions=16)
    fits = longest_that_runs(plain, 20)
    assert fits < 20
    model = HookedModel.wrap(plain, tiny_tokenizer(), model_type)
    assert model.info.context_size == fits
    assert len(model.trace([50] * fits)) == fits
    with pytest.raises(PromptError, match=f"at most {fits}"):
        model.trace([50] * (fits + 1))


def test_a_rotation_has_no_end_so_the_config_is_believed():
    model = HookedModel.wrap(build("llama"), tiny_tokenizer(), "llama")
    assert model.info.context_size == model.model.config.max_position_embeddings
