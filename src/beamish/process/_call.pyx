"""Calls made awaitable, and replies.

A call to a process of this node needs no reference, monitor or mailbox: the `Call` itself is in the list of its server's callers
while it waits, the reply is put into it, and the server's death finds it there (`_signals.finish`). Everything else takes the long
way through `gen.call_abroad`.

Source  OTP 25, stdlib: gen.erl (do_call/4, reply/2).
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_SIZE

from beamish.process._core cimport (
    ANSWERED, DEAD, EXITING, FAILED, NEW, OVER, QUEUED, SERVES, SLOW, SUSPENDED, TIMED_OUT, UNWINDING, WAITING, WAITS,
    Call, CallStep, Process, Scheduler, atom_of, check_exit, concerns, get_current, install_call_step, plain_message, require_process,
    require_runtime,
)
from beamish.term._atom cimport Atom
from beamish.term._compound cimport ImproperList
from beamish.term._identifiers cimport Pid, Ref
from libc.math cimport INFINITY

from beamish.errors import CallTimeout
from beamish.term._atom import atom

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

cdef object ALIAS = atom.alias
cdef object GEN_CALL = atom("$gen_call")
cdef object NOPROC = atom.noproc
cdef object CALLING_SELF = atom.calling_self
cdef object gen = None


cdef object long_way():
    """The module with the long way; it imports this one."""
    global gen
    if gen is None:
        from beamish.process import gen as found
        gen = found
    return gen


cdef PySendResult waits(Process process, PyObject** result) noexcept:
    process.bits |= WAITING
    Py_INCREF(None)
    result[0] = <PyObject*>None
    return PYGEN_NEXT


cdef int call_step(PyObject* me, PyObject* arg, PyObject** result) except? -1:
    cdef Call self = <Call>me
    cdef Process process
    if self.state == ANSWERED:
        answer = self.answer
        self.answer = None
        self.state = OVER
        Py_INCREF(answer)
        result[0] = <PyObject*>answer
        return PYGEN_RETURN
    if self.state == SLOW:
        return PyIter_Send(self.slow, None if arg == NULL else <object>arg, result)
    if get_current() == NULL:
        return from_outside(self, result)
    process = <Process>get_current()
    if self.state == FAILED:
        if self.ref is not None and process.count > self.mark and answered_by_mail(self, process):
            return call_step(me, arg, result)
        self.state = OVER
        raise long_way().failure(self.target, self.answer)
    if process.bits & (EXITING | UNWINDING | DEAD):
        self.detach()
        self.state = OVER
        if check_exit(process):
            return waits(process, result)
    if self.state == NEW:
        if process.bits & SUSPENDED:
            Py_INCREF(None)
            result[0] = <PyObject*>None
            return PYGEN_NEXT
        if process.home.fuel <= 0:
            # Calls that fail at once do not wait: whoever makes many gives way, as at a receive.
            process.home.enqueue(process)
            return waits(process, result)
        process.home.fuel -= 1
        return begin(self, process, result)
    if self.state == OVER:
        raise RuntimeError("this call was awaited before: each call is awaited once")
    if self.ref is not None and process.count > self.mark and answered_by_mail(self, process):
        return call_step(me, arg, result)
    if process.bits & TIMED_OUT:
        process.bits &= ~<unsigned int>TIMED_OUT
        self.detach()
        raise CallTimeout(long_way().late(self.target, self.timeout))
    return waits(process, result)


cdef int from_outside(Call self, PyObject** result) except? -1:
    """Awaited by an asyncio task, which has no mailbox: a process is made for the call."""
    if self.state != NEW or self.home is None:
        self.state = OVER
        require_process("a call")
    self.slow = long_way().call_from_task(self.home, self.target, self.request, None if self.timeout < 0 else self.timeout, self.label)
    self.state = SLOW
    return PyIter_Send(self.slow, None, result)


cdef bint answered_by_mail(Call self, Process process) except -1:
    """A server that does not know aliases answers the pid: the reply lies in the mailbox."""
    cdef int place
    for place in range(self.mark, process.count):
        message = plain_message(process, place)
        if type(message) is tuple and PyTuple_GET_SIZE(message) == 2 and concerns(self.ref, message):
            process.take(place)
            self.detach()
            self.answer = (<tuple>message)[1]
            self.state = ANSWERED
            if process.rare is not None:
                process.rare.deadline = 0
            return True
    return False


cdef int begin(Call self, Process process, PyObject** result) except? -1:
    """The first step: find the server, give it the call, wait."""
    cdef Process server = None
    cdef Scheduler home = process.home
    target = self.target
    if type(target) is tuple and PyTuple_GET_SIZE(target) == 2 and (<tuple>target)[1] is home.node:
        target = (<tuple>target)[0]
    if type(target) is Pid:
        server = home.find(<Pid>target)
        if server is None and (<Pid>target).node is home.node:
            self.state = OVER
            raise long_way().failure(self.target, NOPROC)
    elif type(target) is Atom:
        server = home.names.get(target)
        if server is None:
            self.state = OVER
            raise long_way().failure(self.target, NOPROC)
    if server is process:
        self.state = OVER
        raise long_way().failure(self.target, CALLING_SELF)
    if server is None or (process.rare is not None and process.rare.calling != NULL):
        # Elsewhere; or this process steps several calls at once by hand, and each needs a mark of its own.
        self.slow = long_way().call_abroad(self.target, self.request, None if self.timeout < 0 else self.timeout, self.label)
        self.state = SLOW
        return PyIter_Send(self.slow, None, result)
    process.bits &= ~<unsigned int>TIMED_OUT
    self.mark = process.count
    self.attach(process, server)
    if self.timeout >= 0:
        home.arm(process, self.timeout)
    else:
        process.rare.deadline = 0
    if self.request is not NOTHING:
        message = self
        if home.strict or not server.bits & SERVES:
            message = self.message()
        if home.strict:
            try:
                home.strict_check(message)
            except BaseException:
                self.detach()
                raise
        # From here on it waits: a dirty process runs beside the loop's thread, and the answer may come at once.
        process.bits |= WAITING
        home.deliver(server, message)
    process.bits |= WAITING
    if self.state != WAITS:
        process.bits &= ~<unsigned int>WAITING
        return call_step(<PyObject*>self, NULL, result)
    return waits(process, result)


cdef class Nothing:
    """The request of a call that sends none and waits for `acknowledge`."""


NOTHING = Nothing()


cdef Call new_call(object target, object request, double timeout, object label):
    cdef Call made = Call.__new__(Call)
    made.target = target
    made.request = request
    made.label = label
    made.timeout = timeout
    if get_current() != NULL:
        made.home = (<Process>get_current()).home
    elif type(target) is Pid and (<Pid>target).process != NULL:
        made.home = (<Process>(<Pid>target).process).home
    return made


cdef double seconds_of(object timeout) except? -2:
    """A time limit as the kernel keeps it; negative: none."""
    cdef double seconds
    if timeout is None:
        return -1
    seconds = timeout
    if seconds != seconds:
        raise ValueError("a call with timeout=nan would never end: give seconds, or None to wait for ever")
    if seconds == INFINITY:
        return -1
    return seconds if seconds > 0 else 0


def call(target, request, timeout=5.0, *, label=GEN_CALL):
    """Send ``{label, {self, Tag}, request}`` and wait for the reply: ``answer = await call(pid, request)``.

    target: a pid, a local name (Atom or str), or (name, node). timeout: seconds, None for ever. Raises CallFailed when it is not
    there, dies or the connection breaks, CallTimeout when the reply takes too long. A late reply is dropped.
    """
    if isinstance(target, str):
        target = atom_of(target)
    elif type(target) is tuple and len(target) == 2:
        target = (atom_of(target[0]), atom_of(target[1]))
    elif not isinstance(target, (Pid, Atom)):
        raise TypeError(f"a call goes to a pid, a name or (name, node), not to {target!r}")
    return new_call(target, request, seconds_of(timeout), label)


def expect(timeout=None):
    """A wait for a process to `acknowledge` it, without sending anything; `aim` says which, before it is awaited.

    Raises CallFailed with the process's reason if it ends before, CallTimeout after so many seconds.
    """
    return new_call(None, NOTHING, seconds_of(timeout), None)


def aim(Call wait not None, Pid pid not None):
    """Say whose end also ends the wait."""
    wait.target = pid


def acknowledge(Call wait not None, value=None):
    """Give a value to an `expect`, also before it is awaited; too late for one that waits no more."""
    if wait.state == NEW:
        wait.answer = value
        wait.state = ANSWERED
    else:
        wait.settle(value, ANSWERED)


def reply(to, answer):
    """Answer a call. `to` is the ``{Pid, Tag}`` of the request; the tag is echoed bit by bit, to the alias when it names one."""
    cdef Call waiting
    cdef Process caller
    cdef Ref ref = None
    cdef Scheduler home
    pid, tag = to
    head = tag
    # [alias|Ref], or [[alias|Ref]|_] from request collections.
    if type(head) is ImproperList:
        if type((<ImproperList>head).elements[0]) is ImproperList:
            head = (<ImproperList>head).elements[0]
        if (<ImproperList>head).elements[0] is ALIAS and type((<ImproperList>head).tail) is Ref:
            ref = <Ref>(<ImproperList>head).tail
    home = require_runtime("reply()")
    if ref is None:
        if (<Pid?>pid).node is home.node or (<Pid>pid).node in home.routes:
            home.send(pid, (tag, answer))
    elif ref.node is home.node or ref.node in home.routes:      # a reply never connects
        home.send(ref, (tag, answer))


install_call_step(<CallStep>call_step)
(<TypeObj*><PyObject*>Call).tp_as_async.am_send = <void*>call_step
