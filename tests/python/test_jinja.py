"""The interpreter of chat templates against jinja2 as Transformers sets it up."""
import datetime
import os
import random
import unicodedata

import pytest

import jinja_tool
from jinja_cases import CONTEXT, EXPRESSIONS, REFUSED, STATEMENTS
from jinja_random import RandomTemplate


COUNT = int(os.environ.get("TCA_JINJA_TEMPLATES", "800"))  # random ones


def compare(templates, context, may_refuse=False):
    """Asserts that every template gives jinja2's text, or an error where jinja2 raises. Returns how many were rendered,
    and how many refused that jinja2 renders."""
    answers = jinja_tool.render([{"template": template, "context": context} for template in templates])
    wrong = []
    rendered = refused = 0
    for template, answer in zip(templates, answers):
        text, error = jinja_tool.expected(template, context)
        if error is not None:
            if "error" not in answer:
                wrong.append((template, f"raises {error!r}", answer["text"]))
        elif may_refuse and answer.get("category") == jinja_tool.UNSUPPORTED:
            refused += 1
        elif answer.get("text") == text:
            rendered += 1
        else:
            wrong.append((template, text, answer.get("text", answer.get("error"))))
    report = "\n".join(f"{template!r}\n  jinja2: {want!r}\n  tca:    {got!r}" for template, want, got in wrong[:40])
    assert not wrong, f"{len(wrong)} of {len(templates)} differ\n{report}"
    return rendered, refused


def test_expressions():
    compare(["{{ " + expression + " }}" for expression in EXPRESSIONS], CONTEXT)


def test_statements():
    compare(STATEMENTS, CONTEXT)


def test_what_is_lacking_is_refused_by_name():
    answers = jinja_tool.render([{"template": template, "context": CONTEXT} for template in REFUSED])
    for (template, word), answer in zip(REFUSED.items(), answers):
        assert answer.get("category") == jinja_tool.UNSUPPORTED, (template, answer)
        assert word in answer["error"] and answer["error"].startswith("template:1: "), (template, answer)


def test_random_templates():
    source = RandomTemplate(random.Random(1))
    templates = [source.template() for _ in range(COUNT)]
    rendered, refused = compare(templates, CONTEXT, may_refuse=True)
    assert rendered > COUNT / 4 and refused < rendered / 20, (rendered, refused)


@pytest.mark.parametrize("format_", ["%d %b %Y", "%Y-%m-%d", "%A, %B %d, %Y", "%H:%M:%S.%f", "%I %p %j %U %W %w %y",
                                     "%c|%x|%X|%D|%F|%T|%R", "%G-W%V-%u", "%-d %-m %e %%", "[%z%Z]", "plain é"])
def test_strftime_now(format_):
    times = [datetime.datetime(2024, 7, 26, 9, 5, 3, 42), datetime.datetime(2023, 1, 1, 0, 0),
             datetime.datetime(2024, 12, 30, 23, 59, 59), datetime.datetime(2021, 1, 3, 12, 0),
             datetime.datetime(2020, 12, 31, 13, 30), datetime.datetime(1999, 12, 31, 1, 1)]
    requests = [{"template": "{{ strftime_now(f) }}", "context": {"f": format_},
                 "now": round(time.timestamp() * 1e6)} for time in times]
    assert [answer["text"] for answer in jinja_tool.render(requests)] == [time.strftime(format_) for time in times]


# Those that Python's version of Unicode has assigned; utf8proc's may be a later one.
CHARACTERS = [chr(c) for c in range(0x30000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]


def test_every_character_is_known_as_python_knows_it():
    methods = ["isalpha", "isalnum", "isdigit", "isdecimal", "isspace", "islower", "isupper", "isprintable"]
    flags = "".join("{{ 1 if c.%s() else 0 }}" % method for method in methods)
    changes = ["upper", "lower", "title", "capitalize", "swapcase"]
    context = {"text": " ".join(CHARACTERS), "characters": CHARACTERS}
    answers = jinja_tool.render(
        [{"template": "{{ text.%s() }}" % change, "context": context} for change in changes] +
        [{"template": "{{ characters }}", "context": context},
         {"template": "{% for c in characters %}" + flags + "\n{% endfor %}", "context": context}])
    for change, answer in zip(changes, answers):
        wrong = [(a, b) for a, b in zip(answer["text"].split(" "), getattr(context["text"], change)().split(" ")) if a != b]
        assert not wrong, (change, wrong[:20])
    wrong = [(a, b) for a, b in zip(answers[-2]["text"].split(", "), repr(CHARACTERS).split(", ")) if a != b]
    assert not wrong, wrong[:20]
    wrong = [hex(ord(c)) for c, line in zip(CHARACTERS, answers[-1]["text"].split("\n"))
             if line != "".join(str(int(getattr(c, method)())) for method in methods)]
    assert not wrong, (len(wrong), wrong[:20])


# Data in Cyrillic, templates in ASCII: what is Cyrillic in the result came from data, and nothing else did.
CYRILLIC = {
    "м": "приветмир",
    "слова": "раз\u3000два\u3000три",
    "список": ["альфа", "бета", "гамма"],
    "словарь": {"ключ": "значение", "имя": "Иван"},
}


def foreign_bytes(answer):
    covered = set()
    for begin, end in answer["foreign"]:
        covered.update(range(begin, end))
    return covered


def test_every_character_of_data_is_known_as_such():
    source = RandomTemplate(random.Random(2), texts=["t", "w"], lists=["l"], dicts=["d"], numbers=["3", "loop_count"])
    # Names are ASCII, as the interpreter wants them; values are not.
    context = dict(zip(["t", "w", "l", "d"], CYRILLIC.values()), loop_count=2)
    templates = [template for template in (source.template() for _ in range(COUNT))
                 if "tojson" not in template and "urlencode" not in template and "%c" not in template]
    answers = jinja_tool.render([{"template": template, "context": context} for template in templates])
    rendered = 0
    for template, answer in zip(templates, answers):
        if "error" in answer or "\\" in answer["text"]:  # repr shows some characters as escapes in ASCII
            continue
        covered = foreign_bytes(answer)
        at = 0
        for character in answer["text"]:
            size = len(character.encode())
            is_data = ord(character) >= 0x80
            assert (at in covered) == is_data, (template, answer["text"], character, at)
            at += size
        rendered += bool(covered)
    assert rendered > COUNT / 8, rendered


def test_trusted_globals_stay_trusted():
    (answer,) = jinja_tool.render([{"template": "{{ bos }}[{{ m }}]{{ eos ~ m }}", "trusted": ["bos", "eos"],
                                    "context": {"bos": "<s>", "eos": "</s>", "m": "</s>x"}}])
    assert answer["text"] == "<s>[</s>x]</s></s>x"
    assert answer["foreign"] == [[4, 9], [14, 19]]


def test_json_of_data_is_data():
    (answer,) = jinja_tool.render([{"template": "a{{ {'k': m}|tojson }}b{{ {'k': 1}|tojson }}", "context": {"m": "x"}}])
    assert answer["text"] == 'a{"k": "x"}b{"k": 1}'
    assert answer["foreign"] == [[1, 11]]
