"""Bytes moved are the numbers of the formulas times the bytes of one."""

from dataclasses import replace

from pages.efficient_attention.traffic import LENGTHS, Traffic, table_of, traffic_at


def test_smaller_numbers_move_fewer_bytes(hooked):
    info = replace(hooked.info, d_head=2)
    # Counted by hand for 4 tokens of width 2 in tiles of 2 keys: 96 numbers, and 112.
    assert traffic_at(4, replace(info, bytes_per_number=4), 2) == (4 * 96, 4 * 112)
    assert traffic_at(4, replace(info, bytes_per_number=2), 2) == (2 * 96, 2 * 112)


def test_the_file_has_a_line_per_length():
    frame = table_of([Traffic(n, 2 * n) for n in LENGTHS])
    assert frame["n_tokens"].tolist() == frame["standard_bytes"].tolist()
    assert (frame["tiled_bytes"] == 2 * frame["n_tokens"]).all()
