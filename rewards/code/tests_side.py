"""Inside a second sandbox: the tests, which call the answer's functions in the other process. `Wire` stands before this file.

`DATA` holds the tests, and the descriptor that takes one line a test. An object of the answer is a `Remote` here. It never takes part in a
comparison or an operation, since both would ask the answer's own methods and show them the other side. Its methods can be called only
where the tests name its class, and classes are written with a capital: `f(2).startswith("ab")` asks for a text, not for an object.
"""

import ast
import builtins
import importlib
import json
import math
import os
import sys

MENTIONED = set()
callbacks = []


def handle(value):
    if type(value) is Remote:
        return {"object": object.__getattribute__(value, "_number")}
    if getattr(value, "__module__", "") == "builtins" and getattr(builtins, getattr(value, "__name__", ""), None) is value:
        return {"builtin": value.__name__}
    if callable(value):
        callbacks.append(value)
        return {"function": len(callbacks) - 1}
    raise TypeError(f"a {type(value).__name__} cannot be handed to the answer")


def resolve(tag, inner):
    if tag == "object":
        return Remote(*inner)
    raise TypeError(tag)


wire = Wire(handle, resolve)  # noqa: F821
exceptions = {}


def ask(**request):
    """The answer's reply; its calls of functions that the tests passed in are served meanwhile."""
    wire.send(request)
    while True:
        reply = wire.receive()
        if "back" not in reply:
            break
        try:
            value = callbacks[reply["back"]](*wire.decode(reply["args"]), **wire.decode(reply["named"]))
            wire.send({"value": wire.encode(value)})
        except Exception as error:
            wire.send({"error": str(error)[:1000]})
    if "error" in reply:
        name, base, text = reply["error"]
        raise exception_class(name, base)(text)
    return reply


def exception_class(name, base):
    """The builtin exception, or one of the answer's own under its name, derived from its nearest builtin base."""
    known = getattr(builtins, base, None)
    if not (isinstance(known, type) and issubclass(known, BaseException)):
        known = Exception
    if name == base or name in vars(builtins):
        return known
    return exceptions.setdefault(name, type(name, (known,), {}))


class Remote:
    """An object of the answer."""

    __slots__ = ("_callable", "_kind", "_number", "_true")

    def __init__(self, number, callable_, kind, true):
        for name, value in (("_number", number), ("_callable", callable_), ("_kind", kind), ("_true", bool(true))):
            object.__setattr__(self, name, value)

    def __call__(self, *arguments, **named):
        if not self._callable and self._kind not in MENTIONED:
            raise TypeError(f"the answer's {self._kind} is not a function")
        reply = ask(ask="call", of=self._number, args=wire.encode(arguments), named=wire.encode(named))
        if "changed" in reply:
            change(arguments, wire.decode(reply["changed"]))
        return wire.decode(reply["value"])

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = wire.decode(ask(ask="get", of=self._number, name=name)["value"])
        if type(value) is Remote and value._callable and self._kind not in MENTIONED:
            raise TypeError(f"the tests do not name the class {self._kind}, so they cannot call its {name}")
        return value

    def __setattr__(self, name, value):
        ask(ask="set", of=self._number, name=name, value=wire.encode(value))

    def __iter__(self):
        iterator = wire.decode(ask(ask="iter", of=self._number)["value"])
        while True:
            try:
                reply = ask(ask="next", of=iterator._number)
            except StopIteration:
                return
            yield wire.decode(reply["value"])

    def __next__(self):
        return wire.decode(ask(ask="next", of=self._number)["value"])

    def __getitem__(self, key):
        return self.__dunder("__getitem__")(key)

    def __dunder(self, name):
        if self._kind not in MENTIONED:
            raise TypeError(f"the answer's {self._kind} is not a value")
        return wire.decode(ask(ask="get", of=self._number, name=name)["value"])

    def __len__(self):
        return wire.decode(ask(ask="len", of=self._number)["value"])

    def __str__(self):
        return wire.decode(ask(ask="str", of=self._number)["value"])

    def __repr__(self):
        return wire.decode(ask(ask="repr", of=self._number)["value"])

    def __bool__(self):
        return self._true

    def __eq__(self, other):
        if type(other) is Remote:
            return self._number == other._number
        raise TypeError(f"the answer's {self._kind} is not a value")

    def __hash__(self):
        return hash(self._number)


def change(arguments, after):
    """Arguments as a call that returned None left them."""
    for mine, other in zip(arguments, after):  # noqa: B905
        if isinstance(mine, (list, bytearray)) and type(mine) is type(other):
            mine[:] = other
        elif isinstance(mine, (dict, set)) and type(mine) is type(other):
            mine.clear()
            mine.update(other)


class Names(dict):
    """The tests' namespace: what they do not define is the answer's, builtins and modules of the standard library excepted."""

    def __missing__(self, name):
        module = name in sys.stdlib_module_names and name not in called
        if (hasattr(builtins, name) and name not in own) or (name not in offered and not module):
            raise KeyError(name)
        kind, where = offered.get(name, ("module", name))
        if module or kind == "module":
            value = importlib.import_module(where if kind == "module" and not module else name)
        elif kind == "imported":
            value = getattr(importlib.import_module(where), name)
        elif kind == "exception":
            value = exception_class(name, where)
        else:
            value = wire.decode(ask(ask="name", name=name)["value"])
        self[name] = value
        return value


def called_names(trees):
    return {node.func.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


def own_names(trees, function):
    """Names of builtins that are the answer's to define: the function under test, or what is called when nothing else is."""
    if function:
        return {function}
    bound = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names = called - bound
    return set() if any(not hasattr(builtins, name) for name in names) else names


def find_function(name):
    """The function under test, or the method of the class `Solution`."""
    return names[name] if name in offered else getattr(names["Solution"](), name)


def is_right(value, results):
    return any(alike(value, result) for result in results)


def alike(value, gold):
    """Equality as JSON has it: tuples are lists, keys are texts; numbers with a fraction to 9 digits."""
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(gold, bool) or isinstance(value, bool):
        return value is gold
    if isinstance(gold, float) and isinstance(value, (int, float)):
        return math.isclose(value, gold, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(gold, list) and isinstance(value, list):
        return len(gold) == len(value) and all(map(alike, value, gold))
    if isinstance(gold, dict) and isinstance(value, dict):
        texts = {str(key): item for key, item in value.items()}
        return len(texts) == len(value) and texts.keys() == gold.keys() and all(alike(texts[key], gold[key]) for key in gold)
    return type(value) is type(gold) and value == gold


def report(**line):
    os.write(DATA["report"], json.dumps(line).encode() + b"\n")  # noqa: F821


sources = [DATA["setup"], *DATA["asserts"]]  # noqa: F821
trees = [ast.parse(source) for source in sources]
called = called_names(trees)
own = own_names(trees, DATA["function"])  # noqa: F821
MENTIONED |= {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)} | {"Solution"}
MENTIONED = {name for name in MENTIONED if name[:1].isupper()}
try:
    hello = wire.receive()
except EOFError:
    hello = {"failed": "the program ended before its functions were called"}
offered = hello.get("names", {})
names = Names(__name__="tests", __builtins__=builtins)
report(failed=hello.get("failed", ""))
if "failed" not in hello:
    exec(compile(trees[0], "setup", "exec"), names)
    for tree in trees[1:]:
        try:
            exec(compile(tree, "test", "exec"), names)
            report(passed=True, error="")
        except BaseException as error:
            report(passed=False, error=f"{type(error).__name__}: {error}"[:300])
    for arguments, results in DATA["calls"]:  # noqa: F821
        try:
            passed = is_right(find_function(DATA["function"])(*json.loads(arguments)), [json.loads(result) for result in results])  # noqa: F821
            report(passed=passed, error="" if passed else "another result")
        except BaseException as error:
            report(passed=False, error=f"{type(error).__name__}: {error}"[:300])
