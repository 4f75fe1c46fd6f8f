"""Between {{ and }}: literals, operators, comparisons, names, items and attributes."""

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
""".strip("\n").split("\n")
