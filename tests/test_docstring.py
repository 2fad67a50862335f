"""What `parse_docstring` makes of the styles in which authors write, and of what is no docstring at all."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pyjob.method.docstring import Docstring, parse_docstring

REST = """
    Multiply two numbers,
    and round.

    Rounded to two
    places.

    :param x: The first
        number.
    :param float y: The second number.
    :type x: float
    :raises ValueError: if x: is negative
        or too large
    :return: The product.
    """
GOOGLE = """Multiply two numbers.

    Args:
        x (float): The first number.
        y (Callable[[int], str], optional): The second (see: below).
        *args: The rest.
        **kwargs (Any):
            By name.

    Returns:
        dict[str, list[int]]: The product
            of x and y.

    Raises:
        ValueError: if x is negative.
    """
NUMPY = """Multiply two numbers.

    Parameters
    ----------
    x : float, optional
        The first number.
    y, z : {'a', 'b'}
        Both others.

        At once.
    *args, **kwargs
        The rest.

    Returns
    -------
    float
        The product.
    """
TYPES = ("float", "list of str", "dict[str, list[int]]", "int | None", "int or None", "Optional[int]")
FIELDS = ("param", "Parameter", "arg", "argument", "key", "keyword", "kwarg")
LOOSE = ("x Text.", "x : Text.", "x:Text.", "x:\n    Text.", "`x`: Text.", "*x: Text.", r"\*\*x: Text.")
DROPPED = [
    *("Raises:\n  ValueError: if so.", "Attributes:\n  model: it.", "Raises\n---\nValueError\n    If so.\n"),
    *("See Also:\n    other: it.", "See Also\n--------\nother : the other one\n", ":rtype: dict:\n    str"),
    *(":raises ValueError: if so\n    or so", ":type x: float", ":var model: it", ":param: nameless"),
    *(":param :", ":param:\n    x: nobody's", "Parameters\n-----\nx : float\n"),
]
KEPT = ["Notes:\n    Some: words.\n\n    Then more words.", "Notes\n-----\nSome: words.\n\nThen more words."]
# What is quadratic takes minutes for these: whoever waits for a test here has found it.
LONG = 300_000
REPEATED = [
    *("\n", "\r", " ", "\t", " \n", "\0", "\ud800", "`", ":", ": ", "*", "\\", "\tx\n", "---\n", "x\n---\n"),
    *("```\n", "```a\n~~~\n", ">>>\n\n", "Args:\n", "Args:\n\n", "Args:\nx: y\n\n", ":param x: y\n"),
]
STUMBLES = [
    *(("Args:\n    x", unit, "!") for unit in (",x", " ,x", " ", "(", " (", ") ", "* ", "(:)")),
    *(("Args:\n    x (", unit, "!") for unit in (")", ") ", "()")),
    *(("Returns:\n    a[", unit, "!") for unit in ("]", "] | ", "a[]|", "]  ", "]|b")),
    *(("Returns:\n    a", unit, "!") for unit in (" or b", " or ", "orof", "|b", " ")),
    *((":param ", unit, "y : z") for unit in ("x ", "x | ", "a[] ", ": ", ":", "\\")),
    *((f"{title}\n-----\n", "x : int\n    y\n\n", "!") for title in ("Parameters", "Returns")),
    *((":param x: y\n", unit, "!") for unit in ("\n", "z\n", "1", "    - z\n\n")),
    *(("Args", unit, ":") for unit in (" ", ":", "\n")),
]


@pytest.mark.parametrize("nothing", [None, "", " \n\t\n", cast(Any, 5), cast(Any, b"Sum.")])
def test_no_docstring_and_what_is_no_text_give_an_empty_one(nothing: str | None) -> None:
    assert parse_docstring(nothing) == Docstring() == Docstring("", "", {}, "")


def test_rest_fields_are_read() -> None:
    summary, told = "Multiply two numbers, and round.", {"x": "The first number.", "y": "The second number."}
    assert parse_docstring(REST) == Docstring(summary, "Rounded to two\nplaces.", told, "The product.")


def test_google_sections_are_read() -> None:
    told = {"x": "The first number.", "y": "The second (see: below)."}
    told |= {"args": "The rest.", "kwargs": "By name."}
    assert parse_docstring(GOOGLE) == Docstring("Multiply two numbers.", "", told, "The product of x and y.")


def test_numpy_sections_are_read() -> None:
    told = {"x": "The first number.", **dict.fromkeys("yz", "Both others.\n\nAt once.")}
    told |= {"args": "The rest.", "kwargs": "The rest."}
    assert parse_docstring(NUMPY) == Docstring("Multiply two numbers.", "", told, "The product.")


def test_styles_may_be_mixed_and_the_first_text_counts() -> None:
    google = "Args:\n    x: From Google.\n    :param y: From a field.\n"
    numpy = "Parameters\n-----\nx : float\n    Again.\nz : float\n    From NumPy.\n"
    rest = ":param y: Again.\n:return: This."
    found = parse_docstring(f"Sum.\n\n{google}\n{numpy}\n{rest}\n\nReturns:\n    Again.")
    told = {"x": "From Google.", "y": "From a field.", "z": "From NumPy."}
    assert found == Docstring("Sum.", "", told, "This.")


@pytest.mark.parametrize("text", [REST, GOOGLE, NUMPY])
@pytest.mark.parametrize(("ours", "theirs"), [("\n", "\r\n"), ("\n", "\r"), ("\n", " \n"), ("    ", "\t")])
def test_tabs_and_line_ends_of_other_systems_make_no_difference(text: str, ours: str, theirs: str) -> None:
    assert parse_docstring(text.replace(ours, theirs)) == parse_docstring(text)


@pytest.mark.parametrize("start", [*(f"{name} x: Text." for name in FIELDS), *(f"param {x}" for x in LOOSE)])
def test_every_spelling_of_a_rest_parameter_is_understood(start: str) -> None:
    assert parse_docstring(f"Sum.\n\n:{start}\n\nMore.") == Docstring("Sum.", "More.", {"x": "Text."})


@pytest.mark.parametrize("annotation", TYPES)
def test_the_type_of_a_parameter_or_result_is_no_part_of_its_text(annotation: str) -> None:
    told = Docstring("Sum.", "", {"x": "Text."}, "Text.")
    assert parse_docstring(f"Sum.\n:param {annotation} x: Text.\n:return: Text.") == told
    google = f"Sum.\n\nArgs:\n    x ({annotation}): Text.\n\nReturns:\n    {annotation}: Text."
    assert parse_docstring(google) == told
    numpy = f"Sum.\n\nParameters\n---\nx : {annotation}\n    Text.\n\nReturns\n---\n{annotation}\n    Text."
    assert parse_docstring(numpy) == told


@pytest.mark.parametrize("text", ["Base URL prefix", "Base URL prefix: see http://localhost"])
def test_a_rest_parameter_may_lack_its_second_colon(text: str) -> None:
    assert parse_docstring(f"Sum.\n:param base_url {text}") == Docstring("Sum.", "", {"base_url": text})


def test_a_rest_field_goes_on_in_lines_right_below_and_in_indented_paragraphs() -> None:
    found = parse_docstring("Sum.\n:param x: Two\nlines.\n:param y: Two\n\n    paragraphs.\n\nMore.")
    assert found == Docstring("Sum.", "More.", {"x": "Two lines.", "y": "Two\n\nparagraphs."})


@pytest.mark.parametrize("field", ["return: Text.", "returns: Text.", "return Text.", "yields:\n    Text."])
def test_every_spelling_of_a_rest_result_is_understood(field: str) -> None:
    assert parse_docstring(f"Sum.\n:{field}") == Docstring("Sum.", returns="Text.")


@pytest.mark.parametrize("title", ["Args", "Arguments", "Parameters", "Params", "ARGS", "Keyword Args"])
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_every_google_title_of_parameters_is_understood(title: str, gap: str) -> None:
    found = parse_docstring(f"Sum.{gap}{title}:\n  x: Text.\n  a, b (int): Both.\n  - `c`: Listed.")
    assert found == Docstring("Sum.", parameters={"x": "Text.", "a": "Both.", "b": "Both.", "c": "Listed."})


@pytest.mark.parametrize("prose", ["The sum.", "The result: a sum.", "See http://host", "float", "{a: b}"])
@pytest.mark.parametrize("title", ["Returns:\n  ", "Yields:\n  ", "Returns\n---\n", "Yield\n---\n"])
def test_a_result_without_a_type_is_told_as_it_stands(title: str, prose: str) -> None:
    found = parse_docstring(f"Sum.\n\n{title}{prose}\n\nAnd more.")
    assert found == Docstring("Sum.", "And more.", {}, prose)


def test_several_results_become_a_list_but_only_where_the_first_line_is_one() -> None:
    listed = Docstring("Sum.", returns="- total: The sum.\n- rest: What is left.")
    assert parse_docstring("Sum.\n\nReturns:\n    total: The sum.\n    rest: What is left.") == listed
    numpy = "Sum.\n\nReturns\n-------\ntotal : float\n    The sum.\nrest : int\n    What is left."
    assert parse_docstring(numpy) == listed
    assert parse_docstring("Returns:\n  True if so.\n  Note: x.\n\nSum.").returns == "True if so. Note: x."


def test_a_result_may_stand_on_the_line_of_its_title() -> None:
    found = parse_docstring("Sum.\nReturns: This\n    one.\n\nMore.")
    assert found == Docstring("Sum.", "More.", {}, "This one.")


def test_google_entries_that_are_not_indented_are_read_up_to_a_blank_line() -> None:
    found = parse_docstring("Sum.\n\nArgs:\nx: Text.\ny: More text.\n\nThe end: here.")
    assert found == Docstring("Sum.", "The end: here.", {"x": "Text.", "y": "More text."})


def test_a_numpy_parameter_without_a_text_tells_what_is_more_than_a_type() -> None:
    found = parse_docstring("Parameters\n----------\nx : float\nmode : {'a', 'b'}\ny: the second one")
    assert found.parameters == {"mode": "{'a', 'b'}", "y": "the second one"}


@pytest.mark.parametrize("section", DROPPED)
def test_sections_for_programmers_are_dropped_and_text_behind_them_is_kept(section: str) -> None:
    assert parse_docstring(f"Sum.\n\n{section}") == Docstring("Sum.")
    assert parse_docstring(f"Sum.\n\n{section}\n\nSome more words.") == Docstring("Sum.", "Some more words.")


@pytest.mark.parametrize("section", KEPT)
def test_sections_for_every_reader_stay_below_the_description_under_a_bold_title(section: str) -> None:
    notes, told = "**Notes**\n\nSome: words.\n\nThen more words.", {"x": "Text."}
    found = parse_docstring(f"Sum.\n\n{section}\n:param x: Text.\n\nFree.")
    assert found == Docstring("Sum.", f"Free.\n\n{notes}", told)
    assert parse_docstring(f"\n{section}\n:param x: Text.") == Docstring("", notes, told)


def test_a_docstring_within_an_example_is_no_docstring() -> None:
    written = "Write:\n\n        :param x: No.\n        Args:\n            y: No."
    shown = "**Example**\n\nWrite:\n\n    :param x: No.\n    Args:\n        y: No."
    assert parse_docstring(f"Sum.\n\nExample:\n    {written}") == Docstring("Sum.", shown)


def test_doctests_become_code_blocks() -> None:
    found = parse_docstring("Sum.\n\nAs in:\n>>> f(1)\n3\n\nText.\n\nExamples:\n    >>> g(1)\n    4")
    code = "As in:\n\n    >>> f(1)\n    3\n\nText.\n\n**Examples**\n\n    >>> g(1)\n    4"
    assert found == Docstring("Sum.", code)


@pytest.mark.parametrize("fence", ["```py\n>>> f(1)\n\n\nReturns:\n  3\n:param x: No.\n```", "```\nopen"])
def test_a_code_fence_is_left_alone_and_hides_nothing_behind_it(fence: str) -> None:
    found = parse_docstring(f"Sum.\n\nExample:\n\n{fence}\n\nArgs:\n    y: Yes.")
    assert found == Docstring("Sum.", f"Example:\n\n{fence}", {"y": "Yes."})


@pytest.mark.parametrize("below", ["- fast\n- exact", "Example:\n    1", "1. fast\n2. exact"])
@pytest.mark.parametrize("start", [":param x: One of:", "Args:\n    x: One of:"])
def test_lists_and_titles_stay_in_the_text_of_a_parameter(start: str, below: str) -> None:
    indented = below.replace("\n", "\n        ")
    found = parse_docstring(f"Sum.\n\n{start}\n        {indented}\n")
    assert found == Docstring("Sum.", "", {"x": f"One of:\n{below}"})


@pytest.mark.parametrize("sentence", ["With\nparameters:\nx and y.", "Args: any.", ":class:`X` does.", "Tip"])
def test_a_sentence_that_resembles_a_title_stays_text(sentence: str) -> None:
    assert parse_docstring(f"Sum.\n\n{sentence}") == Docstring("Sum.", sentence)
    assert parse_docstring("Returns: the sum.") == Docstring("Returns: the sum.")


def test_other_headings_stay_in_the_description_and_end_a_section() -> None:
    found = parse_docstring("Sum\n===\n\nParameters\n---\nx : int\n    Text.\n\nUsage\n-----\nx : at will.")
    assert found == Docstring("Sum", "Usage\n-----\nx : at will.", {"x": "Text."})


def test_the_summary_ends_before_a_list_or_code_and_may_stand_below_the_sections() -> None:
    assert parse_docstring("Sum\nof:\n- one\n- two") == Docstring("Sum of:", "- one\n- two")
    assert parse_docstring("Sum.\n>>> f(1)\n3") == Docstring("Sum.", "    >>> f(1)\n    3")
    assert parse_docstring("Args:\n    x: Text.\n\nSum.") == Docstring("Sum.", parameters={"x": "Text."})


def test_names_and_texts_may_be_in_any_script() -> None:
    found = parse_docstring("Součet.\n\n:param číslo: První.\n\nArgs:\n    数 (int): 数字。")
    assert found == Docstring("Součet.", "", {"číslo": "První.", "数": "数字。"})


@pytest.mark.parametrize("unit", REPEATED)
@pytest.mark.parametrize("above", ["", "Sum.\n\n"])
def test_a_text_repeated_for_ever_is_read(unit: str, above: str) -> None:
    found = parse_docstring(above + unit * (LONG // len(unit)) + "\nThe end.")
    assert found.parameters in ({}, {"x": "y"})


@pytest.mark.parametrize(("start", "unit", "end"), STUMBLES)
def test_a_line_made_to_send_a_pattern_back_is_read(start: str, unit: str, end: str) -> None:
    assert parse_docstring(f"Sum.\n\n{start}{unit * (LONG // len(unit))}{end}").summary == "Sum."


def test_a_megabyte_of_blank_lines_or_entries_and_stairs_of_indentation_are_read() -> None:
    assert parse_docstring("\n" * 1_000_000 + "Sum.") == Docstring("Sum.")
    entries = "".join(f"    name{number} (int): Some words,\n        and more.\n" for number in range(20_000))
    told = {f"name{number}": "Some words, and more." for number in range(20_000)}
    assert parse_docstring("Sum.\n\nArgs:\n" + entries).parameters == told
    stairs = "\n".join(" " * depth + "Args:" for depth in [*range(1000), *range(1000, 0, -1)])
    assert parse_docstring("Sum.\n\n" + stairs).summary == "Sum."


def test_any_text_gives_a_docstring_and_no_exception() -> None:
    hypothesis = pytest.importorskip("hypothesis")
    strategies = pytest.importorskip("hypothesis.strategies")
    pieces = [
        *"\n\r\t :*-=`|[](),x>",
        "\n    ",
        "\n\n",
        "---",
        "```",
        "Args:",
        "Returns",
        ":param",
        ":return:",
    ]
    anything = strategies.text() | strategies.lists(strategies.sampled_from(pieces)).map("".join)

    def holds(text: str) -> None:
        found = parse_docstring(text)
        assert isinstance(found, Docstring)
        assert len(found.summary.splitlines()) <= 1
        assert all(name and told for name, told in found.parameters.items())
        assert all(isinstance(told, str) for told in (found.summary, found.description, found.returns))

    hypothesis.settings(database=None)(hypothesis.given(anything)(holds))()
