"""Classes: who comes in, who may change what, what students hear, and when nothing is left."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from pages.teach.classes import (
    CODE_LENGTH,
    IDLE_S,
    LETTERS,
    LONGEST_S,
    MOST_GUESSES,
    MOST_LETTERS,
    MOST_OF_OWNER,
    ClassError,
    Classes,
    Guessed,
    Led,
    plain_code,
    spoken,
)


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def classes(clock):
    return Classes(most=3, most_students=4, clock=clock)


def seen(classes, opened):
    found = classes.overview(opened.code, opened.key)
    assert found is not None
    return found


def test_codes_and_keys_are_drawn_from_too_many_to_be_guessed(classes):
    opened = [classes.start() for _ in range(3)]
    assert len({one.code for one in opened} | {one.key for one in opened}) == 6
    for one in opened:
        assert re.fullmatch(f"[{LETTERS}]{{{CODE_LENGTH}}}", one.code)
        assert len(one.key) >= 32
    assert len(set(LETTERS)) ** CODE_LENGTH > 8e11


def test_a_code_is_read_however_it_is_typed(classes):
    opened = classes.start("tokens")
    typed = f"  {spoken(opened.code).lower()} "
    assert plain_code(typed) == opened.code
    joined = classes.join(typed)
    assert (joined.code, joined.number, joined.lesson) == (opened.code, 1, "tokens")


def test_a_student_comes_back_after_a_reload_and_a_handed_on_address_is_another_one(classes):
    opened = classes.start()
    first = classes.join(opened.code, session="s1", person="Chromium")
    back = classes.join(opened.code, first.secret, session="s2", person="Chromium")
    assert (back.number, back.secret) == (1, first.secret)
    other_browser = {"session": "s3", "person": "another"}
    copied = classes.join(
        opened.code, first.secret, is_open=lambda one: one == "s2", **other_browser
    )
    assert copied.number == 2
    assert copied.secret != first.secret
    moved = classes.join(opened.code, first.secret, is_open=lambda one: False, **other_browser)
    assert moved.number == 1


def test_the_teacher_sees_places_guesses_and_who_is_here(classes, clock):
    opened = classes.start()
    one, _ = (classes.join(opened.code) for _ in range(2))
    classes.say(opened.code, one.secret, "1", Guessed("Ben", True))
    classes.say(opened.code, one.secret, "2", Guessed("7"))
    clock.now += 60
    classes.told(opened.code, one.secret)
    first, second = seen(classes, opened).students
    assert (first.number, first.place, first.is_here) == (1, "2", True)
    assert first.guesses == {"1": Guessed("Ben", True), "2": Guessed("7", False)}
    assert (second.place, second.is_here, second.guesses) == ("", False, {})
    first.guesses["1"] = Guessed("changed")
    assert seen(classes, opened).students[0].guesses["1"] == Guessed("Ben", True)


def test_only_its_own_key_shows_or_changes_a_class(classes):
    opened, other = classes.start(), classes.start()
    joined = classes.join(opened.code)
    for key in ("", joined.secret, other.key, opened.code, "ü"):
        assert not classes.is_teacher(opened.code, key)
        assert classes.overview(opened.code, key) is None
        classes.reveal(opened.code, key, "1")
        classes.lead(opened.code, key, True)
        classes.show(opened.code, key, Led("layers", "view"))
        classes.close(opened.code, key)
    told = classes.told(opened.code, joined.secret)
    assert told is not None
    assert (told.version, dict(told.revealed), told.led) == (joined.version, {}, None)
    assert classes.told(other.code, joined.secret) is None
    classes.say(other.code, joined.secret, "1", Guessed("x"))
    assert seen(classes, other).students == ()


def test_students_hear_of_each_change_once(classes):
    opened = classes.start()
    joined = classes.join(opened.code)

    def told():
        found = classes.told(opened.code, joined.secret)
        assert found is not None
        return found

    before = told()
    assert before == told()
    classes.reveal(opened.code, opened.key, "2")
    assert told().version > before.version
    assert dict(told().revealed) == {"2": told().version}
    classes.show(opened.code, opened.key, Led("layers", "view"))
    assert told().led is None, "nobody follows before the teacher says so"
    classes.lead(opened.code, opened.key, True)
    classes.show(opened.code, opened.key, Led("layers", "view"))
    led = told()
    assert (led.led, led.led_version) == (Led("layers", "view"), led.version)
    classes.show(opened.code, opened.key, Led("layers", "view"))
    assert told() == led
    classes.lead(opened.code, opened.key, False)
    assert told().led is None


def test_a_closed_class_leaves_nothing(classes):
    opened = classes.start()
    joined = classes.join(opened.code)
    classes.say(opened.code, joined.secret, "1", Guessed("Ben"))
    classes.close(opened.code, opened.key)
    assert classes.told(opened.code, joined.secret) is None
    assert classes.overview(opened.code, opened.key) is None
    assert "Ben" not in repr(vars(classes))
    with pytest.raises(ClassError, match="There is no class"):
        classes.join(opened.code)


@pytest.mark.parametrize(("step", "lasts"), [(IDLE_S + 1, 0), (IDLE_S / 2, LONGEST_S)])
def test_a_class_ends_when_nobody_is_there_and_at_last_always(classes, clock, step, lasts):
    opened = classes.start()
    joined = classes.join(opened.code)
    while clock.now - 1000 + step <= lasts:
        clock.now += step
        assert classes.told(opened.code, joined.secret) is not None
    clock.now += step
    assert classes.told(opened.code, joined.secret) is None
    assert not classes.is_teacher(opened.code, opened.key)
    for _ in range(3):
        classes.start()


def test_a_server_has_room_for_so_many(classes):
    opened = [classes.start() for _ in range(3)]
    with pytest.raises(ClassError, match="As many classes"):
        classes.start()
    for _ in range(4):
        classes.join(opened[0].code)
    with pytest.raises(ClassError, match="full"):
        classes.join(opened[0].code)
    roomy = Classes()
    for _ in range(MOST_OF_OWNER):
        roomy.start(owner="one")
    with pytest.raises(ClassError):
        roomy.start(owner="one")
    roomy.start(owner="another")


def test_a_student_fills_no_memory(classes):
    opened = classes.start()
    joined = classes.join(opened.code)
    for place in range(3 * MOST_GUESSES):
        classes.say(opened.code, joined.secret, f"{place}" + "x" * 900, Guessed("y" * 9000))
    (student,) = seen(classes, opened).students
    assert len(student.guesses) == MOST_GUESSES
    assert {len(one.guess) for one in student.guesses.values()} == {MOST_LETTERS}
    assert max(map(len, student.guesses)) <= MOST_LETTERS


def test_who_says_too_many_wrong_codes_waits(classes, clock):
    opened = classes.start()
    who = (("browser a", 3), ("address b", 5))
    for _ in range(3):
        with pytest.raises(ClassError, match="There is no class"):
            classes.join("WRONGWRG", who=who)
    with pytest.raises(ClassError, match="Too many"):
        classes.join(opened.code, who=who)  # the right one, too: or it could be found out
    classes.join(opened.code, who=(("browser c", 3), ("address b", 5)))
    for _ in range(2):
        with pytest.raises(ClassError, match="There is no class"):
            classes.join("WRONGWRG", who=(("browser d", 3), ("address b", 5)))
    with pytest.raises(ClassError, match="Too many"):
        classes.join(opened.code, who=(("browser e", 3), ("address b", 5)))
    clock.now += 61
    classes.join(opened.code, who=who)
    assert len(classes._wrong) == 0


def test_thirty_students_at_once_lose_nothing():
    classes = Classes()
    opened = classes.start()

    def attend(number):
        joined = classes.join(opened.code)
        for step in range(20):
            classes.say(opened.code, joined.secret, str(step), Guessed(f"{number}"))
            classes.told(opened.code, joined.secret)
        return joined.number

    with ThreadPoolExecutor(30) as pool:
        numbers = sorted(pool.map(attend, range(30)))
    assert numbers == list(range(1, 31))
    students = seen(classes, opened).students
    assert len({one.guesses["7"].guess for one in students}) == 30
    assert {len(one.guesses) for one in students} == {20}


def test_a_code_of_another_process_is_told_from_a_mistyped_one():
    mine, other = (Classes(letter=letter) for letter in "AB")
    theirs = other.start().code
    assert mine.is_elsewhere(theirs)
    assert mine.is_elsewhere(spoken(theirs).lower())
    with pytest.raises(ClassError, match="another process"):
        mine.join(theirs)
    for code in (mine.start().code, theirs[:-1], ""):
        assert not mine.is_elsewhere(code)
    assert not Classes().is_elsewhere(theirs)  # where there is one process, no code has a letter
