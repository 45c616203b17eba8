"""Inside the sandbox: the answer's program, whose functions another process calls. `DATA` holds it; `Wire` stands before this file.

It knows the arguments of each call and nothing else. Whatever it overwrites or prints, all it can send is the value of a call.
"""

import builtins
import contextlib
import inspect
import sys
import types

objects, numbers = [], {}


def handle(value):
    if id(value) not in numbers:
        numbers[id(value)] = len(objects)
        objects.append(value)
    named = value.__name__ if isinstance(value, type) else type(value).__name__
    return {"object": [numbers[id(value)], callable(value), named, bool(value)]}


def resolve(tag, inner):
    if tag == "object":
        return objects[inner]
    if tag == "builtin":
        return getattr(builtins, inner)
    if tag == "function":
        return lambda *arguments, **named: back(inner, arguments, named)
    raise TypeError(tag)


wire = Wire(handle, resolve)  # noqa: F821
sys.modules["__main__"] = types.ModuleType("__main__")
namespace = sys.modules["__main__"].__dict__


def back(number, arguments, named):
    """Calls a function that the tests passed in."""
    wire.send({"back": number, "args": wire.encode(arguments), "named": wire.encode(named)})
    reply = wire.receive()
    if "error" in reply:
        raise RuntimeError(reply["error"])
    return wire.decode(reply["value"])


def described(value):
    if inspect.ismodule(value):
        return ["module", value.__name__]
    if isinstance(value, type) and issubclass(value, BaseException):
        return ["exception", plain_base(value)]
    if isinstance(value, type) or inspect.isroutine(value):
        module = getattr(value, "__module__", None)
        return ["own", ""] if module == "__main__" or not module else ["imported", module]
    return ["own", ""]


def plain_base(kind):
    return next(base.__name__ for base in kind.__mro__ if base.__module__ == "builtins")


def answer(request):
    what = request["ask"]
    if what == "name":
        return namespace[request["name"]]
    target = objects[request["of"]]
    if what == "call":
        arguments, named = wire.decode(request["args"]), wire.decode(request["named"])
        result = target(*arguments, **named)
        return result if result is not None else Changed(arguments)
    if what == "get":
        return getattr(target, request["name"])
    if what == "set":
        return setattr(target, request["name"], wire.decode(request["value"]))
    return {"iter": iter, "next": next, "len": len, "str": str, "repr": repr}[what](target)


class Changed:
    """A call that returned None: its arguments as it left them."""

    def __init__(self, arguments):
        self.arguments = arguments


def serve():
    while True:
        request = wire.receive()
        try:
            result = answer(request)
            changed = {"changed": wire.encode(result.arguments)} if type(result) is Changed else {}
            reply = {"value": None if changed else wire.encode(result), **changed}
        except BaseException as error:
            reply = {"error": [type(error).__name__, plain_base(type(error)), str(error)[:1000]]}
        wire.send(reply)


try:
    source = DATA["program"].encode("utf-8", "replace").decode()  # noqa: F821
    exec(compile(source, "answer.py", "exec", dont_inherit=True), namespace)
except BaseException as error:
    wire.send({"failed": f"{type(error).__name__}: {error}"[:1000]})
else:
    wire.send({"names": {name: described(value) for name, value in namespace.items() if not name.startswith("__")}})
    with contextlib.suppress(EOFError):
        serve()
