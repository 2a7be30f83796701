"""Speed and memory against plain transformers; not tests."""
