"""Templates by what they show. Every one is rendered with CONTEXT by jinja2, which says what is right."""

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

# Between {{ and }}.
EXPRESSIONS = r"""
1
-1
- 1
1_000
0x1f
0o17
0B101
007
1.5
1e3
1.5E-7
1e16
123456789012345680.0
0.1 + 0.2
1e22
1e-5
0.0001
100000.0
-0.0
1/3
true
True
none
None
false
'a' "b" 'c'
'\n\t\\\'\x41\u00e9\101\q'
"it's"
'a"b'
'é\é'
[]
[1, 'a', none, true, 1.0]
[1, 2,]
(1,)
()
(1, 2)
1, 2
1,
{}
{'a': 1, 'b': [2], 3: 'c', none: 1}
{'a': 1, 'a': 2}
{1: 'a', true: 'b', 1.0: 'c'}
1 + 2 * 3
(1 + 2) * 3
2 ** 3 ** 2
-2 ** 2
2 ** -1
0 ** 0
7 // 2
-7 // 2
7 // -2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 % 2
7.5 % -2
1e308 * 10
5 / 2
4 / 2
1 + 1.0
2 * 'ab'
'ab' * 3
'ab' * -1
[1] * 3
(1, 2) * 2
'a' + 'b'
[1] + [2]
(1,) + (2,)
true + true
-true
+5
not 1
not not 1
1 ~ 'a' ~ none ~ 1.0 ~ [1, 'x'] ~ missing
1 == 1.0
1 == true
'a' == 'a'
[1, 2] == [1, 2.0]
[1] == (1,)
{'a': 1} == {'a': 1.0}
none == none
missing == missing
missing == none
1 != 2
1 < 2 < 3
1 < 3 < 2
1 < 2 == 2
'a' < 'b'
'Z' < 'a'
'é' > 'z'
[1, 2] < [1, 3]
[1] < [1, 0]
(1, 'a') < (1, 'b')
1 <= 1.0
1.5 > 1
9007199254740993 == 9007199254740992.0
9007199254740993 > 9007199254740992.0
1 in [1, 2]
1 in (1.0,)
'a' in 'cat'
'' in 'cat'
'x' not in 'cat'
'a' in {'a': 1}
1 in missing
3 in range(5)
'b' in dict
'k' in dict.keys()
('a', 1) in dict.items()
1 and 2
0 and 2
1 or 2
0 or ''
missing or 'd'
1 if true else 2
1 if false else 2
1 if false
(1 if false) is undefined
1 if true else 2 if true else 3
[1 if no] | length
1 if no else 2 if no
name
missing
missing.x is defined if false else 'safe'
name|upper
name.upper()
name['upper']()
name . upper ( )
name[0]
name[-1]
name[10]
name[1:3]
name[::-1]
name[:-1]
name[-3:]
name[::2]
name[4:1:-1]
name[10:]
name[-100:100]
unicode[3]
unicode[2:7]
unicode[::-1]
unicode|length
items_list[1:4]
items_list[::-2]
items_list[-2]
items_list[true]
(1, 2, 3)[1:]
range(10)[2:8:2]
range(5)
range(1, 10, 3)|list
range(5, 0, -2)|list
range(0)|list
range(5)[1]
range(5)[-1]
range(5)|length
range(3) == range(0, 3)
dict.a
dict['a']
dict.c.d[1]
dict.c.d.1
dict.nope
dict['nope'] is defined
dict.get('a')
dict.get('z')
dict.get('z', 5)
dict.items()
dict.keys()
dict.values()
dict.items()|list
dict|list
dict|items|list
dict.keys()|first
dict.values()|last
dict.items()|length
shadow.items()|list|length
shadow['items']
shadow.keys is callable
shadow['keys']
shadow.get('get')
shadow['x y']
shadow._p
shadow['_p']
shadow['__class__']
shadow['values']() | list | length
dict.update is defined
dict.pop is defined
items_list.append is defined
items_list.append
items_list.index(3)
items_list.count(2)
items_list[9] is defined
items_list['x'] is defined
items_list.foo
none.foo
none['foo']
number.foo
5 .foo
number[0]
name.foo
name['foo']
name['_x'] is defined
name.__class__
''.__class__ is defined
'a,b,c'.split(',')
'a,b,c'.split(',', 1)
'a,b,c'.rsplit(',', 1)
'a,b,c'.split(',', maxsplit=1)
'a,b,c'.split(sep=',')
'  a  b '.split()
'  a  b c '.split(none, 1)
'  a  b c '.rsplit(none, 1)
' '.split()
''.split(',')
'aXXbXXc'.split('XX')[-1]
'</think>x</think>y'.split('</think>')[-1]
'ab'.partition('b')
'abcb'.rpartition('b')
'ab'.partition('x')
multi.splitlines()
multi.splitlines(true)
'a\x0bb\x1cc\u2028d'.splitlines()
text.strip()
text.lstrip()
text.rstrip()
'xxaxx'.strip('x')
'xyaxy'.lstrip('xy')
'xyaxy'.rstrip('yx')
'\u2003a\x1f'.strip()
'éaé'.strip('é')
'aaa'.replace('a', 'b')
'aaa'.replace('a', 'b', 2)
'abc'.replace('', '-')
'abc'.replace('', '-', 2)
''.replace('', 'x')
'hello'.startswith('he')
'hello'.startswith(('x', 'h'))
'hello'.startswith('l', 2)
'hello'.endswith('lo')
'hello'.endswith(('x', 'o'))
'hello'.endswith('l', 0, 4)
'hello'.startswith('', 9)
'hello'.find('l')
'hello'.rfind('l')
'hello'.find('z')
'hello'.find('l', 3)
'hello'.find('', 9)
unicode.find('中')
'hello'.index('l')
'hello'.count('l')
'hello'.count('')
'aaaa'.count('aa')
'-'.join(['a', 'b'])
'-'.join('abc')
'hello world'.title()
"they're bill's".title()
'hELLO'.capitalize()
'Hello'.swapcase()
unicode.upper()
unicode.lower()
unicode.title()
unicode.capitalize()
'ǆ'.title()
'ΑΣ ΑΣΑ Σ'.lower()
'5'.zfill(3)
'-5'.zfill(4)
'abc'.zfill(2)
'a'.center(4)
'ab'.center(5, '*')
'abc'.center(6)
'a'.ljust(3) ~ '|'
'a'.rjust(3, '-')
'abc'.isalpha()
'ab1'.isalnum()
'12'.isdigit()
'²'.isdigit()
'²'.isdecimal()
'½'.isalnum()
''.isdigit()
' \t'.isspace()
'abc'.islower()
'ABC1'.isupper()
'Ab Cd'.istitle()
'abc'.isascii()
'prefix-x'.removeprefix('prefix-')
'x.txt'.removesuffix('.txt')
'a\tb'.expandtabs(4)
'{} and {}'.format(1, 'x')
'{0}{1}{0}'.format('a', 'b')
'{a} {b!r}'.format(a=1, b='x')
'{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c')
'{:05d} {:+d} {:,} {:x} {:#b}'.format(42, 7, 1234567, 255, 5)
'{:.2f} {:8.3f} {:e} {:g} {:%}'.format(3.14159, 2.5, 12345.678, 0.0001, 0.25)
'{{}} {}'.format(1)
'{0[a]} {0[c][d][1]}'.format(dict)
'{:{}}'.format('a', 4) ~ '|'
'{:*^9}'.format('mid')
'{!s:>4}'.format(1)
'%s %d %5.2f %x %05d %-4s| %r %%' % ('a', 7, 3.14159, 255, 42, 'l', 'q')
'%s' % 'a'
'%s' % [1, 2]
'%(a)s-%(b)d' % {'a': 1, 'b': 2}
'%s' % missing
'%+d % d' % (1, 2)
'%c%c' % (65, 'b')
'%.2s' % 'abc'
'%d' % 3.9
'%e' % 12345.678
'%g' % 0.00001234
'%s'|format('x')
'%s %s'|format('x', 1)
'%(x)s'|format(x=3)
name|lower
text|trim
'xxaxx'|trim('x')
name|length
items_list|count
missing|length
missing|default('d')
missing|d
''|default('d')
''|default('d', true)
none|default('d', boolean=true)
none|default('d')
dict.nope|default('x')
items_list|join
items_list|join(', ')
items_list|join(d='-')
names|join('|')
users|join(', ', attribute='name')
mixed|join(' ')
'abc'|join('-')
missing|join('x')
'hello world-foo (bar'|title
unicode|title
'hELLO'|capitalize
'aaa'|replace('a', 'b', 2)
number|replace('4', 'x')
items_list|first
items_list|last
''|first is undefined
[]|first is undefined
'abc'|first
'abc'|last
dict|first
range(3)|last
missing|last is undefined
'abc'|list
dict|dictsort
dict.items()|list|tojson
{'B': 1, 'a': 2}|dictsort
{'B': 1, 'a': 2}|dictsort(true)
{'B': 2, 'a': 1}|dictsort(by='value')
{'B': 2, 'a': 1}|dictsort(false, 'value', true)
'abc'|reverse
items_list|reverse|list
missing|reverse|list
(items_list|select('odd'))|reverse
unicode|reverse
[3, 1, 2]|sort
[3, 1, 2]|sort(reverse=true)
names|sort
names|sort(true)
names|sort(case_sensitive=true)
users|sort(attribute='age')|map(attribute='name')|list
users|sort(attribute='city,age')|map(attribute='name')|join(' ')
'hello'|sort
pairs|sort(attribute='1', reverse=true)
names|unique|list
names|unique(true)|list
[1, 1.0, true, 2]|unique|list
users|unique(attribute='city')|map(attribute='name')|list
[3, 1, 2]|min
[3, 1, 2]|max
names|max
names|min(case_sensitive=true)
users|max(attribute='age')
[]|min is undefined
['b', 'B']|max
[1, 2, 3]|sum
[1.5, 2]|sum
users|sum(attribute='age')
[[1], [2]]|sum(start=[])
[]|sum(start=5)
items_list|map('string')|join(',')
names|map('upper')|list
users|map(attribute='name')|list
users|map(attribute='tags.0')|list
users|map(attribute='tags', default='none')|list
users|map(attribute='tags.0', default='none')|list
pairs|map(attribute=0)|list
pairs|map('first')|join
names|map('replace', 'a', 'A')|list
0|map('upper')|list
items_list|select('odd')|list
items_list|select('divisibleby', 2)|list
items_list|select|list
mixed|select('string')|list
items_list|reject('odd')|list
mixed|reject|list
users|selectattr('age', 'gt', 26)|map(attribute='name')|list
users|selectattr('tags')|map(attribute='name')|list
users|selectattr('tags', 'defined')|map(attribute='name')|list
users|rejectattr('tags', 'defined')|map(attribute='name')|list
users|selectattr('name', 'equalto', 'Ann')|list|length
messages|selectattr('role', '==', 'user')|list|length
messages|selectattr('role', 'in', ['user', 'system'])|map(attribute='role')|join
users|groupby('city')|map('first')|list
users|groupby('city', case_sensitive=true)|map('first')|list
users|groupby('nope', default='z')|length
items_list|batch(2)|list
items_list|batch(2, 'x')|list
items_list|slice(3)|list
items_list|slice(3, 'x')|list
'5'|int
'5.9'|int
' 12 '|int
'x'|int
'x'|int(7)
'ff'|int(0, 16)
'0xff'|int(base=16)
'0b11'|int(0, 2)
'1_0'|int
'1e3'|int
'inf'|int
none|int
[]|int(3)
3.99|int
-3.99|int
true|int
'3.5'|float
'x'|float
'x'|float(1.5)
'1_0.5'|float
'inf'|float
'nan'|float
'-inf'|float
7|float
-5|abs
-2.5|abs
42.55|round
42.55|round(1, 'floor')
42.55|round(1, 'ceil')
2.5|round
3.5|round
0.125|round(2)
2.675|round(2)
5|round
15|round(-1)
25|round(-1)
-0.4|round
-0.4|round(0, 'ceil')
12345|filesizeformat
1|filesizeformat
999|filesizeformat
1234567|filesizeformat(true)
1e30|filesizeformat
'a b  c-d'|wordcount
multi|indent
multi|indent(2, true)
multi|indent(2, blank=true)
multi|indent('> ', first=true, blank=true)
''|indent
'abc'|center(9)
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '...', 0)
'<a href="x">\'&'|escape
'<'|e|e
'<'|e + '<'
'<' + ('<'|e)
'<'|e ~ '<'
'<'|safe
('<'|safe)|e
'<'|e|forceescape
'<'|e|upper
['<'|e]
'<'|e|string
'<' is escaped
('<'|e) is escaped
number|string
none|string
'a b/c?d=é&'|urlencode
{'a b': 1, 'c': 'd&'}|urlencode
1|tojson
'é"\\\n\u0001\u007f</script>'|tojson
'é😀'|tojson(true)
'é😀'|tojson(ensure_ascii=true)
mixed|tojson
dict|tojson
dict|tojson(indent=2)
dict|tojson(indent='--')
dict|tojson(sort_keys=true)
dict|tojson(separators=(',', ':'))
dict|tojson(indent=4, separators=(', ', ' = '))
[[], {}, (), (1, 2)]|tojson
[[], {}]|tojson(indent=1)
{1: 1, none: 2, true: 3, 1.5: 4}|tojson
{'a': 1.0, 'b': 1e16, 'c': 1e-7}|tojson
('inf'|float)|tojson
tools|tojson
tools|tojson(indent=4)
missing is defined
missing is undefined
name is defined
none is none
0 is none
name is string
name is not string
5 is number
true is number
true is integer
5 is integer
5.0 is float
5.0 is integer
true is boolean
0 is boolean
true is true
1 is true
false is false
dict is mapping
items_list is mapping
'a' is sequence
dict is sequence
dict.items() is sequence
5 is sequence
missing is sequence
range(2) is sequence
'a' is iterable
5 is iterable
missing is iterable
(items_list|map('string')) is iterable
range is callable
name is callable
missing is callable
'abc' is lower
'ABC' is upper
'aB' is lower
4 is even
3 is odd
-3 is odd
9 is divisibleby 3
9 is divisibleby(2)
1 is sameas 1 if false else true is sameas true
none is sameas none
false is sameas none
1 is in [1, 2]
'a' is in 'abc'
3 is not in [1, 2]
1 is eq 1
1 is ne 2
2 is gt 1
2 is ge 2
1 is lt 2
1 is le 1
1 is equalto 1.0
2 is greaterthan 1
1 is lessthan 2
'upper' is filter
'nope' is filter
'odd' is test
'nope' is test
5 is divisibleby 5 and 3 is odd
name is defined and name is string and not name is none
name is string is defined
1 is string or true
[1, 2] is string
name is not none and name
name|length > 3
name|length + 1
-1|abs
-5 .real is defined if false else 1
name|upper|lower|title
(name|upper)[0]
name|upper[0] if false else 'x'
dict.a + dict.b
dict.c.d|sum
[name, number]|join(':')
{'k': name}.k
{'k': name}['k']
[[1, 2], [3]][0][1]
(lambda) if false else 1
messages[0].role
messages[0]['role'] == 'system'
messages[-1].content[0].text
messages[1:]|length
messages[2].content.split('</think>')[-1].lstrip('\n')
messages[2].content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n')
messages[2].tool_calls is defined and messages[2].tool_calls is not none
messages|map(attribute='role')|list
namespace(a=1).a
namespace(a=1)
namespace({'a': 1}, b=2).b
namespace().x is defined
dict(a=1, b=2)
[('a', 1)]|list
cycler(1, 2).next()
joiner()() ~ 'x'
mixed
mixed|string
quotes
[quotes]
[unicode]
tools
tree
text|e
text|trim|length
'a' 'b' ~ 'c'
number // 5 * 5 + number % 5 == number
(1, 2) + (3,)
[1, 2][::-1]
'%s' % (1,)
'%s' % ((1, 2),)
1.0|string
1e100
123456789.123456789
1.7976931348623157e308
5e-324
4.35
0.1
100 * 1.1
items_list[1:][0]
name[1:][0]
'a' if 'a' in name else 'b'
name.upper().lower().strip('w')
(name ~ '!') * 2
2 * (name ~ '!')
[1, [2, [3, (4, {5: 6})]]]
"\""
'\''
["\"'"]
["\""]
["'"]
['\\']
['\n\r\t\x00\x1f\x7f\x80\xa0\xad\u200b\u2028\ue000\U0001F600']
{'a': missing}
[missing]
missing ~ 'x'
missing|upper
missing|list
missing|string
not missing
missing is none
missing in [missing]
[missing] == [missing]
dict == dict
users[0] == users[0]
users[0] in users
none in [none]
'1' == 1
'1' in [1]
1 in ['1']
{} or 'e'
[] or 'e'
0.0 or 'z'
range(0) or 'r'
dict.items() and 'i'
{}.items() or 'none'
"x" is string and "y" is string
1 < 2 and 2 < 3
not 1 == 2
not (1 in [1])
1 + -1
1 - -1
--1
- -1
+-1
2 - 1 - 1
8 / 2 / 2
2 * 3 % 4
1 ~ 2 + 3
1 + 2 ~ 3
-1 ~ 2
'a' ~ 'b' == 'ab'
'ab' == 'a' ~ 'b'
2 ** 0.5
4 ** 0.5
(-8) ** 2
9223372036854775807
-9223372036854775807
9223372036854775807 - 1
3 | string
users|map(attribute='name')|map('lower')|join(',')
users|map(attribute='age')|sum / users|length
items_list|map('float')|list
[1, 2, 3]|map('string')|map('length')|sum
['a', 'b']|map('upper')|first
['a', 1]|map('upper')|first
"{{ not a tag }}"
'#}' ~ '%}'
{'a': {'b': 'c'}}.a.b
{'a': {'b': 'c'}}['a']['b']
range(3)|map('string')|list
*
""".strip("\n").split("\n")

# Whole templates.
STATEMENTS = [
    "",
    "\n",
    "\n\n",
    "a\n",
    "a\r\nb\rc\r\n",
    "plain { text } with {braces} and %} }} #}",
    "{{ name }}\n",
    "{{ name }}\n\n",
    "{{- name -}}  \n x",
    "  {{ name }}  ",
    "  {{- name }}",
    "a {#- comment -#} b",
    "a {# comment #} b",
    "a\n  {# comment #}\nb",
    "a\n  {#+ comment +#}\nb",
    "{# multi\nline #}x",
    "{#-#}x",
    "{% if yes %}\nx\n{% endif %}\ny",
    "  {% if yes %}\n  x\n  {% endif %}\n  y",
    "  {%+ if yes %}\n  x\n  {%+ endif +%}\n  y",
    "  {%- if yes -%}\n  x\n  {%- endif -%}\n  y",
    "a {% if yes %} b {% endif %} c",
    "a {%- if yes %} b {%- endif %} c",
    "a {% if yes -%} b {% endif -%} c",
    "\t{% if yes %}\n\tx\n\t{% endif %}",
    "x{% if yes %}\n\n\ny{% endif %}",
    "\u2003{% if yes %}x{% endif %}",
    "a\u2003\n{%- if yes %}x{% endif %}",
    "{% raw %}{{ x }}{% endraw %}",
    "a\n  {% raw %}\n{{ x }}{% if %}\n  {% endraw %}\nb",
    "a {%- raw -%} {{ x }} {%- endraw -%} b",
    "{% raw -%}\n x {% endraw +%}\ny",
    "{%raw%}{%endraw%}x",
    "{% if no %}a{% elif yes %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif no %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif zero %}b{% endif %}!",
    "{% if items_list: %}x{% endif: %}" if False else "{% if items_list: %}x{% endif %}",
    "{% if 1, 2 %}t{% endif %}",
    "{% for i in items_list %}{{ i }},{% endfor %}",
    "{% for i in items_list -%}\n  {{ i }}\n{%- endfor %}",
    "{% for i in [] %}x{% else %}empty{% endfor %}",
    "{% for i in items_list %}x{% else %}empty{% endfor %}",
    "{% for i in items_list %}{% continue %}{% else %}else{% endfor %}",
    "{% for i in items_list %}{% break %}{% else %}else{% endfor %}",
    "{% for i in items_list %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% else %}else{% endfor %}",
    "{% for i in items_list %}{% if i is odd %}{% continue %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in items_list if i is odd %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% endfor %}",
    "{% for i in items_list if i > 9 %}x{% else %}none{% endfor %}",
    "{% for k, v in dict.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in dict|items %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in dict %}{{ k }}{% endfor %}",
    "{% for (a, b) in pairs %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for c in 'héy' %}[{{ c }}]{% endfor %}",
    "{% for i in missing %}x{% endfor %}!",
    "{% for i in 1, 2, 3 %}{{ i }}{% endfor %}",
    "{% for i in items_list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}"
    "{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
    "{% for i in items_list %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}",
    "{% for i in items_list %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for i in items_list %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }} {% endfor %}",
    "{% for i in items_list|map('string') %}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for i in items_list|map('string') %}{{ loop.index }}{{ loop.last }} {% endfor %}",
    "{% for i in items_list %}{{ loop }} {% endfor %}",
    "{% for i in [1,2] %}{% for j in [1,2] %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% for i in [1,2] %}{% set outer = loop %}{% for j in [1,2] %}{{ outer.index }}{{ loop.index }} {% endfor %}"
    "{% endfor %}",
    "{% for i in [1,2] %}{% for j in [] %}{% else %}{{ loop.index }}{% endfor %}{% endfor %}",
    "{% for n in tree recursive %}{{ n.v }}({{ loop(n.c) }}){{ loop.depth }} {% endfor %}",
    "{% for n in tree recursive %}{{ n.v }}{% if n.c %}[{{ loop(n.c) }}]{% endif %}{% else %}none{% endfor %}",
    "{% for n in tree if n.v is odd recursive %}{{ n.v }}{{ loop(n.c) }}{% endfor %}",
    "{% set x = 0 %}{% for i in items_list %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(x=0) %}{% for i in items_list %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=0, found=false) %}{% set ns.y = 1 %}{{ ns.y }}{{ ns.z is defined }}{{ ns['x'] }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set (a, b) = (1, 2) %}{{ a }}{{ b }}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set a, b = 'xy' %}{{ a }}{{ b }}",
    "{% set ns = namespace() %}{% set ns.a, b = 1, 2 %}{{ ns.a }}{{ b }}",
    "{% set x %}a {{ name }} b{% endset %}[{{ x }}]",
    "{% set x | upper %}a {{ name }}{% endset %}[{{ x }}]",
    "{% set x | upper | replace('A', 'z') %}a {{ name }}{% endset %}[{{ x }}]",
    "{% set ns = namespace() %}{% set ns.x %}block{% endset %}{{ ns.x }}",
    "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y }}",
    "{% for i in items_list %}{% set x %}{% break %}{% endset %}{% endfor %}{{ x }}done",
    "{% if yes %}{% set x = 1 %}{% endif %}{{ x }}",
    "{% if no %}{% set name = 1 %}{% endif %}{{ name }}",
    "{% if yes %}{% set name = 1 %}{% endif %}{{ name }}",
    "{% for i in [1] %}{{ name }}{% set name = 2 %}{{ name }}{% endfor %}{{ name }}",
    "{% for i in [1, 2] %}{{ name }}{% for j in [1] %}{{ name }}{% endfor %}{% set name = i %}{% endfor %}",
    "{% for i in [1, 2] %}{% for j in [1] %}{{ name }}{% endfor %}{% set name = i %}{% endfor %}",
    "{% for i in [1, 2] %}{% for j in [1] %}{{ name }}{% endfor %}{% if i %}{% set name = i %}{% endif %}{% endfor %}",
    "{% for i in [1, 2] %}{% if i == 1 %}{% set name = i %}{% endif %}{{ name }} {% endfor %}",
    "{% for name in [1] %}{{ name }}{% endfor %}{{ name }}",
    "{% set name = name ~ '!' %}{{ name }}",
    "{{ x }}{% set x = 1 %}{{ x }}",
    "{% macro m() %}{{ name }}{% endmacro %}{{ m() }}{% set name = 1 %}{{ m() }}",
    "{% macro m() %}{{ y }}{% endmacro %}{% set y = 1 %}{{ m() }}{% set y = 2 %}{{ m() }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(c=5, a=4) }}|{{ m() }}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(none) }}{{ m(missing) }}",
    "{% macro m(a=b, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}",
    "{% macro m(name) %}{{ name }}{{ caller() }}{% endmacro %}{% call m('x') %}inner {{ name }}{% endcall %}",
    "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b=9) m() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}",
    "{% macro m(caller=none) %}{% if caller %}{{ caller() }}{% endif %}x{% endmacro %}{{ m() }}{% call m() %}c{% endcall %}",
    "{% macro fact(n) %}{% if n < 2 %}1{% else %}{{ n * (fact(n - 1)|int) }}{% endif %}{% endmacro %}{{ fact(10) }}",
    "{% macro outer(x) %}{% macro inner(y) %}{{ x }}{{ y }}{% endmacro %}{{ inner(2) }}{% endmacro %}{{ outer(1) }}",
    "{% macro m(a, b) %}{% endmacro %}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}{{ m }}",
    "{% macro m(x) %}{% set x = x + 1 %}{{ x }}{% endmacro %}{% set x = 5 %}{{ m(1) }}{{ x }}",
    "{% for i in [1,2] %}{% macro m() %}{{ i }}{{ loop.index }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro m(*args) %}{% endmacro %}",
    "{{ '%s-%s'|format(*pairs[0]) }}",
    "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*pairs[0]) }}{{ m(**{'a': 1, 'b': 2}) }}{{ m(1, *[2]) }}",
    "{% macro m(a, b, c) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1, c=3, *[2]) }}{{ m(1, **{'b': 5}) }}",
    "{% filter upper %}a {{ name }}{% endfilter %}",
    "{% filter upper|replace('A', 'b') %}a {{ name }}{% endfilter %}",
    "{% filter indent(2, first=true) %}a\nb{% endfilter %}",
    "{% filter trim %}{% set q = 1 %} {{ q }} {% endfilter %}{{ q }}",
    "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with name = 'x', b = name %}{{ name }}{{ b }}{% endwith %}{{ name }}",
    "{% with a, b = 1, 2 %}{% endwith %}",
    "{% with (a, b) = (1, 2) %}{{ a }}{{ b }}{% endwith %}",
    "{% generation %}a{{ name }}{% endgeneration %}",
    "{% for m in messages %}{% generation %}{{ m.role }}{% set z = 1 %}{% endgeneration %}{{ z }}{% endfor %}",
    "{% print name, 1 %}",
    "{% print %}x",
    "{{ namespace }}" if False else "x",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}",
    "{% set j = joiner('|') %}{% for i in items_list %}{{ j() }}{{ i }}{% endfor %}",
    "{% set it = items_list|map('string') %}{{ it|first }}{{ it|first }}{{ it|list }}{{ it|list }}",
    "{% set it = items_list|select('odd') %}{% for i in it %}{{ i }}{% endfor %}{% for i in it %}{{ i }}{% endfor %}",
    "{% if missing %}a{% else %}b{% endif %}",
    "{% if missing is defined and missing.x %}a{% else %}b{% endif %}",
    "{% if no %}{{ 1|nofilter }}{% endif %}ok",
    "{% if no %}{{ 1 is notest }}{% endif %}ok",
    "{{ 1 if true else 2|nofilter }}",
    "{{ (1|nofilter) if no }}ok",
    "{% if no %}{% for i in [] %}{{ 1|nofilter }}{% endfor %}{% endif %}",
    "{% for i in [] %}{{ 1|nofilter }}{% endfor %}",
    "{% if no %}{{ raise_exception('x') }}{% endif %}ok",
    "{{ 'a' }}{# x #}{{ 'b' }}",
    "{{ {'a': {'b': 1}}['a'] }}",
    "{{ {'a': 1}}}",
    "{{-1}}",
    "{{ -1 }}",
    "{{+1}}",
    "{{ 1 -}} x",
    "{%set x=1%}{{x}}",
    "{% set x = {'a': [1, {'b': '}}'}]} %}{{ x.a[1].b }}",
    "{{ '%}' }}{% set x = '%}' %}{{ x }}",
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{{ '<|im_end|>' + '\\n' }}{% endfor %}",
    "{%- if messages[0]['role'] == 'system' %}{%- set s = messages[0]['content'] %}{%- set rest = messages[1:] %}"
    "{%- else %}{%- set s = '' %}{%- set rest = messages %}{%- endif %}{{ s }}{% for m in rest %}\n{{ loop.index0 }}"
    "{{ m.role }}{% endfor %}",
    "{% for m in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{{ index }}{{ m.role }} {% endfor %}",
    "{% set ns = namespace(multi=true, last=messages|length - 1) %}{% for m in messages[::-1] %}"
    "{% if ns.multi and m.role == 'user' and not (m.content is string and m.content.startswith('<t')) %}"
    "{% set ns.multi = false %}{% set ns.last = messages|length - 1 - loop.index0 %}{% endif %}{% endfor %}{{ ns.last }}",
    "{% if tools is not none and tools is defined %}{{ tools|map(attribute='function')|map('tojson')|join('\\n') }}{% endif %}",
    "{% for t in tools %}{{ t|tojson(indent=4) }}{{ '\\n\\n' }}{% endfor %}",
    "{% set x = messages|selectattr('role', 'equalto', 'user')|list %}{{ x|length }}{{ (x|first).content }}",
    "{% macro render(x, depth=0) %}{% if x is mapping %}{% for k, v in x|dictsort %}{{ '  ' * depth }}{{ k }}:\n"
    "{{ render(v, depth + 1) }}{% endfor %}{% elif x is iterable and x is not string %}{% for v in x %}"
    "{{ render(v, depth) }}{% endfor %}{% else %}{{ '  ' * depth }}{{ x }}\n{% endif %}{% endmacro %}{{ render(tools) }}",
    "{% set x = 'a' %}{% macro m() %}{% if no %}{% set x = 'b' %}{% endif %}{{ x }}{% endmacro %}{{ m() }}",
    "{% set x = 'a' %}{% if yes %}{% macro m() %}{{ x }}{% endmacro %}{% endif %}{{ m() }}",
    "{% set loop = 5 %}{{ loop }}",
    "{% for i in [1] %}{% set loop = 5 %}{% endfor %}",
    "{% for loop in [1] %}{% endfor %}",
    "{% for i in items_list %}{% for j in items_list if j < i %}{{ j }}{% endfor %}|{% endfor %}",
    "{% for i in [1,2,3] %}{% if loop.first %}{% set a = 1 %}{% else %}{% set a = 2 %}{% endif %}{{ a }}{% endfor %}",
    "{% set ns = namespace(l=[]) %}{% for i in [1,2] %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}",
    "{% set a = b = 1 %}",
    "{% set d = {'x': 1} %}{% set d.x = 2 %}",
    "{% set 'a' = 1 %}",
    "{% set none = 1 %}",
    "{% set a.b.c = 1 %}",
    "{% set [a, b] = [1, 2] %}",
    "{% set a, b = 1 %}",
    "{% set a, b = [1] %}",
    "{% set a, b = [1, 2, 3] %}",
    "{{ items_list.append(1) }}",
    "{{ dict.update({'x': 1}) }}",
    "{{ dict.pop('a') }}",
    "{{ missing.x }}",
    "{{ missing['x'] }}",
    "{{ missing() }}",
    "{{ missing + 1 }}",
    "{{ 'a' + missing }}",
    "{{ -missing }}",
    "{{ missing < 1 }}",
    "{{ missing[1:] }}",
    "{{ dict.nope.x }}",
    "{{ none.foo.bar }}",
    "{{ raise_exception('no ' ~ name) }}",
    "{{ 'a' + 1 }}",
    "{{ 1 + 'a' }}",
    "{{ [1] + (2,) }}",
    "{{ 1 < 'a' }}",
    "{{ none < 1 }}",
    "{{ 1 / 0 }}",
    "{{ 1 // 0 }}",
    "{{ 1 % 0 }}",
    "{{ 1.0 / 0 }}",
    "{{ 0 ** -1 }}",
    "{{ 1 in 5 }}",
    "{{ 1 in 'a' }}",
    "{{ [1] in dict }}",
    "{{ {[1]: 2} }}",
    "{{ 5|length }}",
    "{{ none|length }}",
    "{{ (items_list|map('string'))|length }}",
    "{{ (items_list|map('string'))|last }}",
    "{{ (items_list|map('string'))[0] }}",
    "{{ 5|list }}",
    "{{ 5|first }}",
    "{{ none|join }}",
    "{{ 5|sort }}",
    "{{ [1, 'a']|sort }}",
    "{{ [1, 'a']|max }}",
    "{{ ['a']|sum }}",
    "{{ missing|int }}",
    "{{ missing|tojson }}",
    "{{ {'a': missing}|tojson }}",
    "{{ range|tojson }}",
    "{{ range(3)|tojson }}",
    "{{ {(1, 2): 1}|tojson }}",
    "{{ (items_list|map('string'))|tojson }}",
    "{{ 'a'|round }}",
    "{{ 1|round(1, 'up') }}",
    "{{ 'x'|float(none) + 1 }}",
    "{{ 'abc'|nofilter }}",
    "{{ 'abc' is notest }}",
    "{{ ['a']|map('nofilter')|list }}",
    "{{ ['a']|select('notest')|list }}",
    "{{ ['a']|map|list }}",
    "{{ 'abc'.nomethod() }}",
    "{{ 'abc'.index('z') }}",
    "{{ 'abc'.split('') }}",
    "{{ 'abc'.join([1]) }}",
    "{{ '%d' % 'a' }}",
    "{{ '%s %s' % 'a' }}",
    "{{ '%s' % ('a', 'b') }}",
    "{{ '%z' % 1 }}",
    "{{ '%' % () }}",
    "{{ 'x' % 1 }}",
    "{{ 'x' % [] }}",
    "{{ 'x' % {} }}",
    "{{ '{}'.format() }}",
    "{{ '{x}'.format() }}",
    "{{ '{'.format() }}",
    "{{ '}'.format() }}",
    "{{ '{0} {}'.format(1, 2) }}",
    "{{ '{:d}'.format('a') }}",
    "{{ '{:q}'.format(1) }}",
    "{{ '{:s}'.format(1) }}",
    "{{ '{.x}'.format(missing) }}",
    "{{ 'a'.upper(1) }}",
    "{{ 'a'.replace('b') }}",
    "{{ 'a'|upper(1) }}",
    "{{ 'a'|replace('a') }}",
    "{{ 'a'|default(1, 2, 3) }}",
    "{{ 'a'|default(nope=1) }}",
    "{{ name['a':] }}",
    "{{ number[1:] }}",
    "{{ dict[1:] }}",
    "{{ 'abc'[::0] }}",
    "{{ name() }}",
    "{{ 5() }}",
    "{{ range() }}",
    "{{ range('a') }}",
    "{{ range(1, 2, 0) }}",
    "{{ range(100001) }}",
    "{{ namespace(1) }}",
    "{{ dict(1) }}" if False else "{{ namespace([1]) }}",
    "{{ cycler() }}",
    "{% for i in 5 %}{% endfor %}",
    "{% for i in none %}{% endfor %}",
    "{% for a, b in [1] %}{% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "{% for i in [1] %}{{ loop([1]) }}{% endfor %}",
    "{% for i in [1] %}{{ loop.cycle() }}{% endfor %}",
    "{{ loop.index }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}x{% endmacro %}{% call m() %}{% endcall %}",
    "{% macro m(caller) %}{{ caller() }}{% endmacro %}",
    "{% call name %}{% endcall %}",
    "{% call name() %}{% endcall %}",
    "{% macro m(a=1, b) %}{% endmacro %}",
    "{% macro m(a, a) %}{% endmacro %}",
    "{% filter length %}abc{% endfilter %}",
    "{% filter nofilter %}abc{% endfilter %}",
    "{% filter %}abc{% endfilter %}",
    "{% break %}",
    "{% continue %}",
    "{% for i in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for i in [1] %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% for i in [1] %}{% else %}{% break %}{% endfor %}",
    "{% for j in [1, 2] %}{{ j }}{% for i in [] %}{% else %}{% break %}{% endfor %}{% endfor %}",
    "{% unknown %}",
    "{% endif %}",
    "{% else %}",
    "{% if %}{% endif %}",
    "{% if 1 %}",
    "{% if 1 %}{% else %}{% else %}{% endif %}",
    "{% for %}{% endfor %}",
    "{% for i %}{% endfor %}",
    "{% for i in %}{% endfor %}",
    "{% for i in x recursive if y %}{% endfor %}",
    "{% for 1 in x %}{% endfor %}",
    "{% for a.b in x %}{% endfor %}",
    "{% set %}",
    "{% set x %}",
    "{% set x = %}",
    "{% do x %}",
    "{% trans %}x{% endtrans %}",
    "{{",
    "{{ }}",
    "{{ 1",
    "{{ 1 }",
    "{{ 1 %}",
    "{% if 1 }}",
    "{# open",
    "{% raw %} open",
    "{{ 'open }}",
    "{{ (1 }}",
    "{{ 1) }}",
    "{{ [1 }}",
    "{{ [1) }}",
    "{{ {1} }}",
    "{{ {1:} }}",
    "{{ 1 2 }}",
    "{{ 1 + }}",
    "{{ * 1 }}",
    "{{ 1 ! 2 }}",
    "{{ a ? b }}",
    "{{ a.  }}",
    "{{ a[] }}",
    "{{ a.'b' }}",
    "{{ a | }}",
    "{{ a is }}",
    "{{ a is string is string is string }}",
    "{{ 1 is divisibleby }}",
    "{{ f(a=1, 2) }}",
    "{{ f(a=1, a=2) }}",
    "{{ f(**a, *b) }}",
    "{{ '\\x4' }}",
    "{{ '\\u12' }}",
    "{{ 'a\\\nb' }}",
    "{{ 1if yes else 2 }}",
    "{{ 1.real }}" if False else "{{ 1.5.x }}",
    "{{ 1..x }}",
    "{{ name[1:2, 3] }}",
    "{{ dict[1, 2] }}",
    "{{ {(1, 2): 'x'}[1, 2] }}",
    "{{ true() }}",
    "{{ in }}",
    "{{ not }}",
    "{{ if }}",
    "{{ x if }}",
    "{{ a = 1 }}",
    "{{ a := 1 }}",
    "{{ a; b }}",
    "{%- set x = 1 -%}\n\n{{ x }}",
    "{% with a = 1 %}",
    "{% with a %}{% endwith %}",
    "{% generation %}x",
    "{% extends 'a' %}",
    "{% include 'a' %}",
    "{% import 'a' as b %}",
    "{% from 'a' import b %}",
    "{% set x | upper %}{{ name }}{% endset %}{{ x|replace(name|upper, 'y') }}",
    "{% for x in [3,1,2]|sort %}{{ x }}{{ ',' if not loop.last }}{% endfor %}",
    "{{ ('a', 'b') | join }}{{ ('a' 'b') }}",
    "{% for i in range(3) %}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% set x = namespace(v='a') %}{% macro m() %}{% set x.v = x.v ~ 'b' %}{% endmacro %}{{ m() }}{{ m() }}{{ x.v }}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}b{% endmacro %}{{ a() }}",
    "{% macro a() %}{{ b() }}{% endmacro %}{{ a() }}{% macro b() %}b{% endmacro %}",
    "{%- for m in messages -%}\n    {%- if m.role == 'user' -%}\n        {{- 'U: ' ~ m.content -}}\n    {%- endif -%}\n"
    "{%- endfor -%}\n",
    "{% for m in messages %}\n{{ m.role }}\n{% if loop.last %}\nlast\n{% endif %}\n{% endfor %}\nend",
    "    {% set a = 1 %}    {% set b = 2 %}\n    x",
    "{% if yes %}a{% endif %}\n{% if yes %}b{% endif %}\n\nc",
    "{% for i in [1, 2] %}  \n  {{ i }}  \n  {% endfor %}  \nend",
]

# What jinja2 renders and the interpreter refuses, with a word of the refusal.
REFUSED = {
    "{{ 1e400 }}": "out of range",
    "{{ 'abc'['a':] }}": "slice",
    "{{ 5[1:] }}": "sliced",
    "{% autoescape true %}{% endautoescape %}": "autoescape",
    "{% block x %}{% endblock %}": "block",
    "{{ [1, 2]|pprint }}": "pprint",
    "{{ 'x'|striptags }}": "striptags",
    "{{ 'x'|urlize }}": "urlize",
    "{{ 'x'|wordwrap }}": "wordwrap",
    "{{ {'a': 1}|xmlattr }}": "xmlattr",
    "{{ [1]|random }}": "random",
    "{{ [1]|map('string') }}": "generator",
    "{{ lipsum() }}": "lipsum",
    "{{ range }}": "function",
    "{{ 'x'.encode() }}": "encode",
    "{{ 'x'.casefold() }}": "casefold",
    "{{ 9223372036854775807 + 1 }}": "64 bits",
    "{{ 9223372036854775808 }}": "64 bits",
    "{{ 2 ** 64 }}": "64 bits",
    "{{ '9223372036854775808'|int }}": "64 bits",
    "{{ 1e300|int }}": "64 bits",
    "{{ ('<'|e).upper() }}": "escaped text",
    "{{ (5).real }}": "real",
    "{{ 'é' ~ é }}": "beyond ASCII",
    "{{ '\\N{BULLET}' }}": "by name",
    "{{ '\\ud800'|length }}": "surrogates",
    "{{ (users|groupby('city'))[0].grouper }}": "grouper",
}
