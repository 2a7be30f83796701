"""What is kept for one visitor stays, is replaced, and is nobody else's."""

from streamlit.testing.v1 import AppTest


def page():
    import streamlit as st

    from pages.state.kept import Kept

    number, other = Kept[int]("number"), Kept[int]("other")
    st.text(f"{number.get()} {other.get()}")
    if st.button("Put"):
        number.put((number.get() or 0) + 1)
        st.rerun()
    if st.button("Drop"):
        number.drop()
        number.drop()
        st.rerun()


def test_a_value_stays_until_it_is_dropped_and_belongs_to_one_visitor():
    one, other = AppTest.from_function(page).run(), AppTest.from_function(page).run()
    assert one.text[0].value == "None None"
    one.button[0].click().run()
    one.run()
    assert one.text[0].value == "1 None"
    assert one.button[0].click().run().text[0].value == "2 None"
    assert other.run().text[0].value == "None None"
    assert one.button[1].click().run().text[0].value == "None None"
    assert not one.exception
