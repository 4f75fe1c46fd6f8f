"""Between {{ and }}: one beside the other, and what binds closer."""

EXPRESSIONS = r"""
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
