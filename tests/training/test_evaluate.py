from types import SimpleNamespace

import torch

from training.evaluate import facts_completed
from training.facts import fact_prompts
from training.tokenizer import train_tokenizer


def test_a_model_that_knows_one_topic_completes_that_topic_alone():
    tokenizer = train_tokenizer([case.prompt + case.answer for case in fact_prompts()], 400, 64)
    known = {
        tuple(tokenizer(case.prompt + case.answer)["input_ids"])
        for case in fact_prompts()
        if case.topic == "capitals"
    }

    def knows_capitals(input_ids, **_):
        logits = torch.zeros(*input_ids.shape, len(tokenizer))
        for row, ids in enumerate(input_ids.tolist()):
            fits = any(tuple(ids[: len(sentence)]) == sentence for sentence in known)
            following = [*ids[1:], 0] if fits else [tokenizer.bos_token_id] * len(ids)
            logits[row, range(len(ids)), following] = 1
        return SimpleNamespace(logits=logits)

    counts = facts_completed(knows_capitals, tokenizer)
    for topics in counts.values():
        right, asked = topics["capitals"]
        assert right == asked > 0
        assert topics["all"][0] == right
        assert topics["all"][1] == sum(n for topic, (_, n) in topics.items() if topic != "all")
