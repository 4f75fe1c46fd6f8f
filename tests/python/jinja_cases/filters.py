"""Between {{ and }}: filters and tests."""

EXPRESSIONS = r"""
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
""".strip("\n").split("\n")
