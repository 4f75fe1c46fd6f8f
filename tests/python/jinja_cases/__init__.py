"""Templates by what they show. Every one is rendered with CONTEXT by jinja2, which says what is right."""
from jinja_cases import errors, filters, mixtures, scopes, statements, strings, values

CONTEXT = {
    "name": "World",
    "text": "  Hello, <b>World</b> & 'all'  ",
    "empty": "",
    "multi": "one\ntwo\n\n  three\r\nfour",
    "words": "the quick  brown fox",
    "unicode": "naïve Straße ΟΔΥΣΣΕΥΣ ﬁne İstanbul 中文 😀 ǆ",
    "quotes": "it's \"quoted\"\\ and\ttabbed\n\u0007\u00a0\u200b",
    "number": 42,
    "negative": -7,
    "zero": 0,
    "real": 3.75,
    "yes": True,
    "no": False,
    "nothing": None,
    "items_list": [1, 2, 3, 4, 5],
    "mixed": [1, "two", 3.0, None, True, [4], {"five": 5}],
    "names": ["bob", "Alice", "carol", "alice"],
    "pairs": [["a", 1], ["b", 2]],
    "dict": {"b": 2, "a": 1, "c": {"d": [10, 20]}},
    "shadow": {"items": 1, "keys": "k", "get": "g", "x y": 3, "_p": 5, "__class__": 6},
    "users": [
        {"name": "Ann", "age": 30, "city": "Rome", "tags": ["x", "y"]},
        {"name": "ben", "age": 25, "city": "rome"},
        {"name": "Cid", "age": 35, "city": "Oslo", "tags": []},
    ],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <|im_end|>"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello", "tool_calls": None},
        {"role": "user", "content": [{"type": "text", "text": "more"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"ü": [1, 1.5, 1e100, -0.0], "e": {}}}}],
}

EXPRESSIONS = values.EXPRESSIONS + strings.EXPRESSIONS + filters.EXPRESSIONS + mixtures.EXPRESSIONS
STATEMENTS = statements.STATEMENTS + scopes.STATEMENTS + errors.STATEMENTS
REFUSED = errors.REFUSED
