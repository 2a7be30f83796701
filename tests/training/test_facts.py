import pytest

from training.facts import fact_prompts, topics, training_sentences


def test_there_are_at_least_150_facts_and_none_twice():
    facts = [
        (topic, fact["subject"], fact.get("unit"))
        for topic, content in topics().items()
        for fact in content["facts"]
    ]
    assert len(facts) >= 150
    assert len(set(facts)) == len(facts)


@pytest.mark.parametrize("kind", ["new pairing", "unseen"])
def test_held_out_prompts_are_not_in_the_training_data(kind):
    sentences = training_sentences()
    held_out = [case for case in fact_prompts() if case.kind == kind]
    assert len(held_out) > 100
    for case in held_out:
        assert not any(sentence.startswith(case.prompt + case.answer) for sentence in sentences)


def test_trained_prompts_are_in_the_training_data():
    sentences = training_sentences()
    for case in fact_prompts():
        if case.kind == "trained":
            assert any(sentence.startswith(case.prompt + case.answer) for sentence in sentences)


def test_the_shawshank_has_many_wordings():
    assert sum("The Shawshank Redemption" in sentence for sentence in training_sentences()) >= 12
