"""Random templates from a small grammar that knows which operations a type has."""


class RandomTemplate:
    def __init__(self, random, texts=("name", "text", "multi", "unicode", "words"), lists=("items_list", "names", "mixed"),
                 dicts=("dict",), numbers=("number", "negative", "real", "3")):
        self.random = random
        self.names = {"text": list(texts), "list": list(lists), "dict": list(dicts), "number": list(numbers)}
        self.literals = {
            "text": ["'a'", "'a-b c'", "''", "'X'", "' '", "'<x>'", "\"it's\"", "'1'"],
            "list": ["[]", "[1, 2]", "['b', 'a']", "(1, 'x')", "range(3)"],
            "dict": ["{}", "{'a': 1, 'b': [2]}"],
            "number": ["0", "1", "-2", "2.5", "7"],
            "bool": ["true", "false", "none", "missing"],
        }

    def pick(self, *choices):
        return self.random.choice(choices)

    def leaf(self, kind):
        pool = self.literals.get(kind, []) + self.names.get(kind, []) * 2
        return self.random.choice(pool)

    def any(self, depth):
        return self.of(self.pick("text", "text", "list", "number", "dict", "bool"), depth)

    def of(self, kind, depth):
        # Now and then another type than what fits, so that errors are compared too.
        if self.random.random() < 0.02:
            kind = self.pick("text", "list", "number", "dict", "bool")
        if depth <= 0 or self.random.random() < 0.15:
            return self.leaf(kind)
        return getattr(self, kind)(depth - 1)

    def text(self, d):
        t, l, n, b = (lambda k: lambda: self.of(k, d))("text"), (lambda: self.of("list", d)), (lambda: self.of("number", d)), (
            lambda: self.of("bool", d))
        small = lambda: self.pick("0", "1", "2", "-1", "-2", "3")
        return self.pick(
            lambda: f"({t()} + {t()})", lambda: f"({t()} ~ {self.any(d)})", lambda: f"({t()} ~ {t()} ~ {n()})",
            lambda: f"{self.unit(t())}[{small()}:{small()}]", lambda: f"{self.unit(t())}[::{self.pick('2', '-1', '-2')}]",
            lambda: f"{self.unit(t())}[{small()}]", lambda: f"({t()})|trim", lambda: f"({t()})|upper",
            lambda: f"({t()})|title", lambda: f"({t()})|capitalize", lambda: f"({t()})|replace({t()}, {t()})",
            lambda: f"{self.unit(t())}.strip({self.pick('', t())})", lambda: f"{self.unit(t())}.lower()",
            lambda: f"{self.unit(t())}.replace('a', {t()}, {small()})", lambda: f"{self.unit(t())}.title()",
            lambda: f"{self.unit(t())}.split({self.pick('', t())})[{small()}]", lambda: f"({l()})|join({self.pick('', t())})",
            lambda: f"{self.unit(t())}.join(({l()})|map('string'))", lambda: f"({self.any(d)})|string",
            lambda: f"({self.any(d)})|tojson", lambda: f"({t()} * {small()})", lambda: f"'%s-%s' % ({self.any(d)}, {n()})",
            lambda: f"'{{}}/{{:>4}}'.format({self.any(d)}, {t()})", lambda: f"({t()} if {b()} else {t()})",
            lambda: f"({self.any(d)})|default({t()}, {b()})", lambda: f"({t()})|indent({small()}, {b()})",
            lambda: f"({l()})|first", lambda: f"({l()})|last", lambda: f"({t()})|reverse", lambda: f"({t()})|center({n()})",
            lambda: f"({t()})|truncate(6, {b()}, '..', 1)", lambda: f"({t()} or {t()})", lambda: f"({t()} and {t()})",
            lambda: f"{self.unit(t())}.partition({t()})|join('|')", lambda: f"({t()})|e", lambda: f"({t()})|format({n()})",
            lambda: f"{self.unit(t())}.zfill(5)", lambda: f"{self.unit(t())}.rsplit(none, 1)|join('+')")()

    def list(self, d):
        l, t, b = (lambda: self.of("list", d)), (lambda: self.of("text", d)), (lambda: self.of("bool", d))
        small = lambda: self.pick("0", "1", "2", "-1", "3")
        return self.pick(
            lambda: f"[{self.any(d)}, {self.any(d)}]", lambda: f"({l()} + {l()})", lambda: f"{self.unit(l())}[{small()}:]",
            lambda: f"{self.unit(l())}[::-1]", lambda: f"({l()})|list", lambda: f"({l()})|sort", lambda: f"({t()})|list",
            lambda: f"({l()})|map('{self.pick('string', 'upper', 'length', 'trim', 'tojson')}')|list",
            lambda: f"({l()})|select('{self.pick('string', 'number', 'defined', 'odd', 'mapping')}')|list",
            lambda: f"({l()})|reject|list", lambda: f"({l()})|unique|list", lambda: f"({l()})|reverse|list",
            lambda: f"({l()})|batch(2, 'f')|list", lambda: f"({l()})|slice(2)|list", lambda: f"{self.unit(t())}.split()",
            lambda: f"{self.unit(t())}.splitlines()", lambda: f"({self.of('dict', d)})|dictsort",
            lambda: f"({self.of('dict', d)})|items|list", lambda: f"{self.unit(self.of('dict', d))}.keys()|list",
            lambda: f"({l()} * {small()})", lambda: f"({l()} if {b()} else {l()})", lambda: f"({l()} or {l()})")()

    def dict(self, d):
        return self.pick(lambda: f"{{'k': {self.any(d)}, {self.of('text', d)}: {self.any(d)}}}",
                         lambda: f"({self.of('dict', d)} or {self.of('dict', d)})")()

    def number(self, d):
        n, t, l = (lambda: self.of("number", d)), (lambda: self.of("text", d)), (lambda: self.of("list", d))
        return self.pick(
            lambda: f"({n()} {self.pick('+', '-', '*', '//', '%', '/')} {n()})", lambda: f"({t()})|length",
            lambda: f"({l()})|length", lambda: f"({t()})|int", lambda: f"({n()})|abs", lambda: f"({n()})|round(1)",
            lambda: f"({l()})|sum", lambda: f"({l()})|max", lambda: f"{self.unit(t())}.find({t()})",
            lambda: f"{self.unit(t())}.count({t()})", lambda: f"(-{n()})", lambda: f"({n()})|float", lambda: f"({t()})|wordcount")()

    def bool(self, d):
        a = lambda: self.any(d)
        same = lambda: (lambda k: (self.of(k, d), self.of(k, d)))(self.pick("text", "number", "list"))
        compared = lambda: (lambda p: f"({p[0]} {self.pick('<', '<=', '==', '!=', '>', '>=')} {p[1]})")(same())
        tests = ("defined", "none", "string", "number", "mapping", "iterable", "sequence", "true", "lower", "not upper", "integer")
        return self.pick(lambda: f"(not {a()})", lambda: f"({a()} and {a()})", lambda: f"({a()} or {a()})", compared, compared,
                         lambda: f"({a()} in {self.of('list', d)})", lambda: f"({self.of('text', d)} not in {self.of('text', d)})",
                         lambda: f"({a()} is {self.random.choice(tests)})",
                         lambda: f"{self.unit(self.of('text', d))}.{self.pick('startswith', 'endswith')}({self.of('text', d)})")()

    @staticmethod
    def unit(expression):
        """In parentheses, so that a postfix applies to all of it."""
        return f"({expression})"

    def sign(self):
        return self.pick("", "", "", "-", "+")

    def block(self, inside):
        return "{%" + self.sign() + " " + inside + " " + self.sign() + "%}"

    def data(self):
        return self.pick("", " ", "\n", "x", "\n  ", "  \n", "a\n\n b", "<|im_start|>", "\t", "  y  ")

    def output(self):
        return "{{" + self.pick("", "-") + " " + self.any(3) + " " + self.pick("", "-") + "}}"

    def body(self, depth):
        return "".join(self.data() + self.statement(depth - 1) + self.data() for _ in range(self.pick(1, 1, 2)))

    def statement(self, depth):
        if depth <= 0:
            return self.output()
        name = lambda: self.pick("a", "b", "ns", "i", *self.names["text"][:1])
        b = self.block
        body = lambda: self.body(depth)
        return self.pick(
            self.output, self.output, lambda: f"{b('set ' + name() + ' = ' + self.any(3))}{{{{ a }}}}{{{{ b }}}}",
            lambda: b("if " + self.of("bool", 2)) + body() + b("else") + body() + b("endif"),
            lambda: b("if " + self.of("bool", 2)) + body() + b("elif " + self.of("bool", 2)) + body() + b("endif"),
            lambda: b("for i in " + self.of("list", 2)) + "{{ loop.index }}{{ i }}" + body() + b("endfor"),
            lambda: b("for i in " + self.of("list", 2) + " if " + self.pick("i", "i is string", self.of("bool", 1))) + body() +
            self.pick("", b("if loop.last") + b("break") + b("endif"), b("continue")) + b("else") + body() + b("endfor"),
            lambda: b("for a, b in " + self.of("dict", 1) + "|items") + "{{ a }}{{ b }}" + body() + b("endfor"),
            lambda: b("set " + name()) + body() + b("endset") + "{{ a }}{{ b }}",
            lambda: b("macro m(a, b=" + self.any(1) + ")") + "{{ a }}{{ b }}" + body() + b("endmacro") +
            "{{ m(" + self.any(1) + ") }}",
            lambda: b("with a = " + self.any(2)) + "{{ a }}" + body() + b("endwith"),
            lambda: b("filter " + self.pick("upper", "trim", "indent(2)", "title", "replace('a', 'b')")) + body() + b("endfilter"),
            lambda: b("generation") + body() + b("endgeneration"), lambda: "{#" + self.sign() + " c " + self.sign() + "#}",
            lambda: b("set ns = namespace(x=" + self.any(1) + ")") + b("for i in [1, 2]") + "{% set ns.x = ns.x ~ i %}" +
            b("endfor") + "{{ ns.x }}")()

    def template(self):
        return self.data() + "".join(self.statement(3) + self.data() for _ in range(self.pick(1, 2, 3)))
