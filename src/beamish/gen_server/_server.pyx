"""A server's process body, stepped in C, and the handles that call it.

`Server` stands where other processes have their coroutine: waiting costs no frame, and a request that a plain method answers is
handled without leaving this file. Async methods, and what is rare (system messages, results other than values, failures, the end),
are coroutines, from `loop.py`; the one that runs is `inner`, and what it awaits the process awaits.

States and failures: see `loop.py`.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE

from beamish.process._call cimport new_call
from beamish.process._core cimport (
    ANSWERED, DEAD, EXITING, SUSPENDED, TIMED_OUT, UNWINDING, WAITING, Body, Call, Process, get_current,
)
from beamish.term._atom cimport Atom
from beamish.term._identifiers cimport Pid

from beamish.errors import Exit
from beamish.gen_server import results
from beamish.process._call import reply
from beamish.process._core import send
from beamish.term._atom import atom
from beamish.term.convert import Mismatch

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN = 0
        PYGEN_ERROR = -1
        PYGEN_NEXT = 1
    ctypedef struct PyAsyncMethods:
        void* am_await
        void* am_aiter
        void* am_anext
        void* am_send
    ctypedef struct TypeObj "PyTypeObject":
        PyAsyncMethods* tp_as_async
    PySendResult PyIter_Send(object it, object arg, PyObject** res) except PYGEN_ERROR
    bint PyCoro_CheckExact(object)
    object PyObject_Vectorcall(object function, PyObject** args, size_t count, PyObject* names)

cdef extern from *:
    """
    #define beamish_type_of(o) ((PyObject *)Py_TYPE(o))
    """
    PyObject* Py_TYPE_OF "beamish_type_of"(object)

cdef object GEN_CALL = atom("$gen_call")
cdef object GEN_CAST = atom("$gen_cast")
cdef object SYSTEM = atom.system
cdef object EXIT = atom.EXIT
cdef object TIMEOUT = atom.timeout
cdef object NO_REPLY = results.NO_REPLY
cdef object NoReply = results.NoReply, Reply = results.Reply, Stop = results.Stop, Continue = results.Continue
cdef object Timeout = results.Timeout
cdef object INTERRUPTS = (KeyboardInterrupt, SystemExit)
cdef object rare = None         # loop.py, which imports this module
cdef enum:
    MOST_ARGUMENTS = 8          # that are passed without making a tuple

cdef enum After:
    INIT = 1
    CALL = 2
    PLAIN = 3
    RARE = 4


def use(module):
    """`loop.py` says that it is there."""
    global rare
    rare = module


cdef class Entry:
    """A typed method, ready to be invoked."""
    cdef readonly object method
    cdef object function
    cdef Py_ssize_t least, most
    cdef bint is_call, plain
    cdef tuple converters, exact

    def __init__(self, method):
        self.method = method
        self.function = method.function
        self.is_call = method.is_call
        self.least = method.least
        self.most = method.most
        self.plain = not method.keywords and not method.variadic and self.most < MOST_ARGUMENTS

    cdef int prepare(self) except -1:
        self.exact, self.converters = self.method.prepared()
        return 0

    cdef bint fits(self, Py_ssize_t count):
        return self.least <= count and (count <= self.most or self.method.variadic)

    cdef object invoke(self, object instance, object request):
        """Call the method with the arguments of a request, converted."""
        cdef PyObject* args[MOST_ARGUMENTS + 1]
        cdef Py_ssize_t i, count
        cdef list kept = None
        if self.converters is None:
            self.prepare()
        if not self.plain:
            return self.method.invoke(instance, request[1:] if type(request) is tuple else ())
        args[0] = <PyObject*>instance
        if type(request) is not tuple:
            return PyObject_Vectorcall(self.function, args, 1, NULL)
        count = PyTuple_GET_SIZE(request)
        for i in range(1, count):
            args[i] = PyTuple_GET_ITEM(request, i)
            converter = <object>PyTuple_GET_ITEM(self.converters, i - 1)
            if converter is not None and Py_TYPE_OF(<object>args[i]) != PyTuple_GET_ITEM(self.exact, i - 1):
                try:
                    made = converter(<object>args[i])
                except Mismatch as error:
                    raise self.method.refused(i - 1, <object>args[i], error) from None
                if kept is None:
                    kept = []
                kept.append(made)           # the array only borrows
                args[i] = <PyObject*>made
        return PyObject_Vectorcall(self.function, args, count, NULL)


def entries_of(cls):
    """The typed methods of a class, by the atom that requests carry."""
    table = cls.__dict__.get("_entries")
    if table is None:
        table = {tag: Entry(method) for tag, method in rare.methods_of(cls).items()}
        cls._entries = table
    return table


cdef class Server(Body):
    """One running GenServer. `ack` is told when `init` has returned."""
    cdef readonly object cls
    cdef readonly object instance
    cdef readonly Pid pid
    cdef readonly Pid parent        # who may end it: its linked starter; None without
    cdef public object ack
    cdef readonly object args, kwargs
    cdef object current             # the message being handled: a Call or a term
    cdef Entry entry                # of the call being handled
    cdef dict entries
    cdef object inner               # the coroutine that runs
    cdef public object system_      # the part `sys` talks to; made when it is first needed
    cdef double wait_               # seconds until atom.timeout; negative: none
    cdef int after
    cdef bint started, armed
    cdef public bint watched        # every message goes through loop.py: sys traces it

    def __init__(self, cls, args, kwargs):
        self.cls = cls
        self.args = args
        self.kwargs = kwargs
        self.wait_ = -1

    @property
    def wait(self):
        """Seconds until a timeout message, or None."""
        return None if self.wait_ < 0 else self.wait_

    @wait.setter
    def wait(self, seconds):
        self.wait_ = -1 if seconds is None else seconds

    @property
    def name(self):
        """How logs and traces call this server: its registered name, or its pid."""
        cdef Process process
        if self.pid is not None and self.pid.process != NULL:
            process = <Process>self.pid.process
            if process.rare is not None and process.rare.names:
                return process.rare.names[0]
        return self.pid

    @property
    def caller(self):
        """``{Pid, Tag}`` of the call being handled, or None."""
        if type(self.current) is Call:
            return (<Call>self.current).sender()
        if type(self.current) is tuple and PyTuple_GET_SIZE(self.current) == 3 and (<tuple>self.current)[0] is GEN_CALL:
            return (<tuple>self.current)[1]
        return None

    @property
    def last(self):
        """The message being handled, for reports; Ellipsis for none."""
        cdef Call call
        if type(self.current) is Call:
            call = <Call>self.current
            return (call.label, (call.caller, None), call.request)
        return ... if self.current is None else self.current

    @last.setter
    def last(self, message):
        self.current = message

    def answer(self, to, value):
        """Send a reply; `to` None means the call being handled."""
        if to is None:
            if type(self.current) is Call:
                (<Call>self.current).settle(value, ANSWERED)
                return
            to = (<tuple>self.current)[1]
        reply(to, value)

    def renew(self):
        """The class was changed."""
        self.entries = entries_of(type(self.instance))

    # ---- what the kernel and observers look at

    @property
    def cr_await(self):
        """What the server waits in, besides its mailbox."""
        return self.inner

    @property
    def initial_call(self):
        """Module, function and number of arguments of what was started."""
        return (str(self.cls.__module__), f"{self.cls.__qualname__}.init", 0 if self.args is None else len(self.args))

    def __sizeof__(self):
        size = object.__sizeof__(self)
        if self.instance is not None:
            size += self.instance.__sizeof__() + 16
            held = getattr(self.instance, "__dict__", None)
            if held is not None:
                size += held.__sizeof__()
        return size

    def __await__(self):
        raise TypeError(f"the body of {self.cls.__qualname__}'s process is stepped by the kernel and cannot be awaited")

    def throw(self, kind, value=None, trace=None):
        """An exit signal, a cancellation, or a failed await."""
        cdef PyObject* result = NULL
        cdef int outcome
        error = value if value is not None else kind
        if not isinstance(error, BaseException):
            error = kind() if value is None else kind(value)
        try:
            if self.inner is None:
                raise error
            try:
                return self.inner.throw(error)
            except StopIteration as stop:
                self.finished(stop.value)
            except BaseException as failure:
                self.raised(failure)
            outcome = self.go(&result)
        except BaseException:
            self.dispose()
            raise
        answer = <object>result
        Py_DECREF(answer)
        if outcome == PYGEN_NEXT:
            return answer
        raise StopIteration(answer)

    def send(self, value):
        """As of a coroutine."""
        cdef PyObject* result = NULL
        cdef int outcome = server_step(<PyObject*>self, NULL, &result)
        answer = <object>result
        Py_DECREF(answer)
        if outcome == PYGEN_NEXT:
            return answer
        raise StopIteration(answer)

    def close(self):
        """The process was killed: run what is left of the handler."""
        inner = self.inner
        try:
            if inner is not None:
                inner.close()
        finally:
            self.dispose()

    cdef int dispose(self) except -1:
        """Server and instance know each other: let go, so that nothing waits for the garbage collector."""
        self.inner = self.current = self.entry = self.ack = self.args = self.kwargs = None
        self.instance = None
        self.system_ = None
        return 0

    # ---- one step

    cdef int go(self, PyObject** result) except? -1:
        """Until the process has to wait."""
        cdef Process process = <Process>get_current()
        cdef PySendResult outcome
        if not self.started:
            self.started = True
            self.begin(process)
        while True:
            if self.inner is not None:
                try:
                    outcome = PyIter_Send(self.inner, None, result)
                except BaseException as error:
                    self.raised(error)
                    continue
                if outcome == PYGEN_NEXT:
                    return PYGEN_NEXT
                value = <object>result[0]
                Py_DECREF(value)
                result[0] = NULL
                self.finished(value)
                continue
            if process.bits & (EXITING | UNWINDING | DEAD):
                raise Exit(process.rare.exit_reason)
            if process.bits & SUSPENDED:
                break
            if process.home.fuel <= 0:
                # Its turn is over though there may be messages: to the end of the run queue.
                process.home.enqueue(process)
                process.bits |= WAITING
                break
            if process.count == 0:
                self.current = None         # an idle server keeps no message alive
                if self.wait_ < 0:
                    process.bits |= WAITING
                    break
                if self.wait_ == 0 or (self.armed and process.bits & TIMED_OUT):
                    process.bits &= ~<unsigned int>TIMED_OUT
                    self.disarm(process)
                    self.wait_ = -1
                    process.home.fuel -= 1
                    self.handle(TIMEOUT)
                    continue
                if not self.armed:
                    self.armed = True
                    process.bits &= ~<unsigned int>TIMED_OUT
                    process.home.arm(process, self.wait_)
                process.bits |= WAITING
                break
            process.home.fuel -= 1
            if self.armed:
                self.disarm(process)
            self.handle(process.take(0))
        Py_INCREF(None)
        result[0] = <PyObject*>None
        return PYGEN_NEXT

    cdef int disarm(self, Process process) except -1:
        self.armed = False
        if process.rare is not None:
            process.rare.deadline = 0
        return 0

    cdef int begin(self, Process process) except -1:
        """The first step: the instance, and `init`."""
        self.pid = process.pid
        self.parent = self.ack.parent
        self.entries = entries_of(self.cls)
        try:
            self.instance = self.cls()
            self.instance._server = self
            if self.ack.prepares:
                value = rare.prepare(self)
            else:
                value = self.instance.init(*self.args, **self.kwargs)
        except BaseException as error:
            rare.init_failed(self, error)
            raise
        if value is not None and awaitable(value):
            self.inner = value if PyCoro_CheckExact(value) else rare.awaited(value)
            self.after = INIT
            return 0
        return self.begun(value)

    cdef int begun(self, object value) except -1:
        """`init` has returned."""
        if value is None:
            self.ack(None)
        else:
            self.inner = rare.begun(self, self.ack, value)
            self.after = RARE
        self.ack = self.args = self.kwargs = None
        return 0

    cdef int finished(self, object value) except -1:
        """The inner coroutine has returned."""
        cdef int after = self.after
        self.inner = None
        if after == CALL:
            return self.answered(value, True)
        if after == PLAIN:
            return self.rested(value, True)
        if after == INIT:
            return self.begun(value)
        return 0

    cdef int raised(self, object error) except -1:
        """A callback, or what is rare, has raised."""
        cdef Process process = <Process>get_current()
        cdef int after = self.after
        self.inner = None
        if after == RARE or process.bits & (EXITING | UNWINDING | DEAD) or isinstance(error, INTERRUPTS):
            raise error
        if after == INIT:
            rare.init_failed(self, error)
            raise error
        if after == CALL and self.entry is not None and self.entry.method.raises:
            value = rare.declared(self.entry.method, error)
            if value is not None:
                return self.answered(value, True)
        self.after = RARE
        self.inner = rare.failed(self, error)
        return 0

    # ---- messages

    cdef int handle(self, object message) except -1:
        """One message."""
        cdef Py_ssize_t n
        if self.watched:
            return self.slowly((<Call>message).message() if type(message) is Call else message)
        if type(message) is Call:
            if (<Call>message).label is GEN_CALL:
                self.current = message
                return self.call((<Call>message).request)
            return self.slowly((<Call>message).message())
        if type(message) is tuple:
            n = PyTuple_GET_SIZE(message)
            if n:
                tag = <object>PyTuple_GET_ITEM(message, 0)
                if tag is GEN_CAST and n == 2:
                    self.current = message
                    return self.cast(<object>PyTuple_GET_ITEM(message, 1))
                if n == 3:
                    if tag is GEN_CALL:
                        sender = <object>PyTuple_GET_ITEM(message, 1)
                        if type(sender) is tuple and PyTuple_GET_SIZE(sender) == 2:
                            self.current = message
                            return self.call(<object>PyTuple_GET_ITEM(message, 2))
                    elif tag is SYSTEM or tag is EXIT:
                        return self.slowly(message)
        self.current = message
        self.wait_ = -1
        self.after = PLAIN
        try:
            value = self.instance.handle_info(message)
        except BaseException as error:
            return self.raised(error)
        return self.rested(value, False)

    cdef int slowly(self, object message) except -1:
        """What loop.py handles."""
        self.after = RARE
        self.inner = rare.handled(self, message)
        return 0

    cdef Entry entry_for(self, object request, bint is_call):
        """The typed method that takes this request, or None."""
        cdef Py_ssize_t count = 0
        tag = request
        if type(request) is tuple:
            count = PyTuple_GET_SIZE(request) - 1
            if count < 0:
                return None
            tag = <object>PyTuple_GET_ITEM(request, 0)
        if type(tag) is not Atom:
            return None
        found = self.entries.get(tag)
        if found is None or (<Entry>found).is_call != is_call or not (<Entry>found).fits(count):
            return None
        return <Entry>found

    cdef int call(self, object request) except -1:
        self.wait_ = -1
        self.after = CALL
        self.entry = self.entry_for(request, True)
        try:
            if self.entry is not None:
                value = self.entry.invoke(self.instance, request)
            else:
                value = self.instance.handle_call(request, self.caller)
        except BaseException as error:
            return self.raised(error)
        return self.answered(value, False)

    cdef int answered(self, object value, bint final) except -1:
        """A call's method has returned; `final`: what it returned was awaited already."""
        cdef PyObject* kind = Py_TYPE_OF(value)
        if kind == <PyObject*>NoReply and value is NO_REPLY:
            self.current = None
            return 0
        if kind == <PyObject*>Reply or kind == <PyObject*>NoReply or kind == <PyObject*>Stop or kind == <PyObject*>Continue \
                or kind == <PyObject*>Timeout:
            self.after = RARE
            self.inner = rare.acted(self, self.caller, value)
            return 0
        if not final and awaitable(value):
            self.inner = value if PyCoro_CheckExact(value) else rare.awaited(value)
            return 0
        current = self.current
        self.current = None
        if type(current) is Call:
            (<Call>current).settle(value, ANSWERED)
        else:
            reply((<tuple>current)[1], value)
        return 0

    cdef int cast(self, object request) except -1:
        cdef Entry entry
        self.wait_ = -1
        self.after = PLAIN
        entry = self.entry_for(request, False)
        try:
            if entry is not None:
                value = entry.invoke(self.instance, request)
            else:
                value = self.instance.handle_cast(request)
        except BaseException as error:
            return self.raised(error)
        return self.rested(value, False)

    cdef int rested(self, object value, bint final) except -1:
        """A callback that answers nobody has returned."""
        if value is None or value is NO_REPLY:
            return 0
        if not final and awaitable(value):
            self.inner = value if PyCoro_CheckExact(value) else rare.awaited(value)
            return 0
        self.after = RARE
        self.inner = rare.rested(self, value)
        return 0


cdef bint awaitable(object value):
    """Whether a callback's result is to be awaited."""
    cdef PyAsyncMethods* methods = (<TypeObj*>Py_TYPE_OF(value)).tp_as_async
    return methods != NULL and methods.am_await != NULL


cdef int server_step(PyObject* me, PyObject* arg, PyObject** result) except? -1:
    cdef Server self = <Server>me
    try:
        return self.go(result)
    except BaseException:
        self.dispose()
        raise


(<TypeObj*><PyObject*>Server).tp_as_async.am_send = <void*>server_step


# ---- handles

cdef class HandleBase:
    """What every handle holds: its target, the seconds its calls wait (-2: as their methods say), and where it was made."""
    cdef object target
    cdef double timeout
    cdef readonly object _home

    def __init__(self, target, double timeout, home):
        self.target = target
        self.timeout = timeout
        self._home = home

    @property
    def __target__(self):
        return self.target


def handle_call(HandleBase handle not None, request, double timeout):
    """The call behind a handle's method."""
    cdef Call made
    if handle.timeout != -2:
        timeout = handle.timeout
    if type(handle.target) is Pid or type(handle.target) is Atom:
        made = new_call(handle.target, request, timeout, GEN_CALL)
        if made.home is None:
            made.home = handle._home
        return made
    return rare.called(handle, request, None if timeout < 0 else timeout)


def handle_cast(HandleBase handle not None, request):
    """The cast behind a handle's method."""
    if get_current() != NULL and type(handle.target) is Pid:
        send(handle.target, (GEN_CAST, request))
    else:
        rare.cast(handle, request)
