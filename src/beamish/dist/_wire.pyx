"""One established connection: its socket, its packets, its signals.

Reading: the loop says the socket is readable; one read, every whole packet in it dispatched, then the processes that got
something run at once and what they sent is written before the loop goes on. Writing: packets are encoded whole into a scratch
buffer, appended to the outgoing bytes and flushed when the turn of the processes ends.

Source  ERTS, Distribution Protocol, "Protocol between Connected Nodes" and "Distribution Header"; facts sections 4, 5, 7.
"""

import os
import select

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

from beamish.etf._decode cimport Decoder
from beamish.etf._encode cimport Encoder
from beamish.process._core cimport DEAD, SUSPENDED, SYSTEM, Process, Route, get_current
from beamish.process._scheduler cimport Kernel
from beamish.term._atom cimport Atom, intern_utf8
from beamish.term._identifiers cimport Pid, Ref, new_pid

from beamish.dist import limits
from beamish.errors import ConnectionBusy, DecodeError, RemoteProtocolError
from beamish.process import _signals as signals
from beamish.term._atom import atom

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil

cdef enum:
    VERSION = 131
    PASS_THROUGH = 112
    HEADER = 68
    FIRST_FRAGMENT = 69
    NEXT_FRAGMENT = 70
    START_CAPACITY = 65536

cdef enum:
    LINK = 1
    SEND = 2
    EXIT_OP = 3
    UNLINK = 4
    REG_SEND = 6
    GROUP_LEADER = 7
    EXIT2 = 8
    SEND_TT = 12
    EXIT_TT = 13
    REG_SEND_TT = 16
    EXIT2_TT = 18
    MONITOR_P = 19
    DEMONITOR_P = 20
    MONITOR_P_EXIT = 21
    SEND_SENDER = 22
    SEND_SENDER_TT = 23
    PAYLOAD_EXIT = 24
    PAYLOAD_EXIT_TT = 25
    PAYLOAD_EXIT2 = 26
    PAYLOAD_EXIT2_TT = 27
    PAYLOAD_MONITOR_P_EXIT = 28
    SPAWN_REQUEST = 29
    SPAWN_REQUEST_TT = 30
    SPAWN_REPLY = 31
    SPAWN_REPLY_TT = 32
    ALIAS_SEND = 33
    ALIAS_SEND_TT = 34
    UNLINK_ID = 35
    UNLINK_ID_ACK = 36

cdef uint64_t F_DIST_HDR = 0x2000
cdef uint64_t F_EXIT_PAYLOAD = 0x400000
cdef uint64_t F_FRAGMENTS = 0x800000
cdef uint64_t F_UNLINK_ID = 0x2000000
cdef uint64_t F_SEND_SENDER = 0x80000
cdef uint64_t F_SPAWN = 1ULL << 32

cdef Py_ssize_t MAX_PACKET = limits.MAX_PACKET
cdef Py_ssize_t MAX_MESSAGE = limits.MAX_MESSAGE
cdef Py_ssize_t MAX_FRAGMENTED_MESSAGES = limits.MAX_FRAGMENTED_MESSAGES
cdef Py_ssize_t MAX_FRAGMENTED_BYTES = limits.MAX_FRAGMENTED_BYTES
cdef Py_ssize_t READ_BYTES = limits.MAX_PACKETS_PER_READ
cdef Py_ssize_t FRAGMENT_ABOVE = limits.FRAGMENT_ABOVE
cdef Py_ssize_t FRAGMENT_SIZE = limits.FRAGMENT_SIZE
cdef Py_ssize_t BUSY_BYTES = limits.BUSY_BYTES
cdef Py_ssize_t REFUSE_BYTES = limits.REFUSE_BYTES
cdef Py_ssize_t CLOSE_BYTES = limits.CLOSE_BYTES

cdef Atom EMPTY = intern_utf8(b"", 0)
cdef object OK = atom.ok
cdef object ERROR = atom.error
cdef object SPAWN_REPLY_ATOM = atom.spawn_reply


cdef inline uint32_t u32(const unsigned char* p) noexcept:
    return (<uint32_t>p[0] << 24) | (<uint32_t>p[1] << 16) | (<uint32_t>p[2] << 8) | p[3]


cdef inline uint64_t u64(const unsigned char* p) noexcept:
    return (<uint64_t>u32(p) << 32) | u32(p + 4)


cdef inline void put32(unsigned char* p, uint32_t v) noexcept:
    p[0] = v >> 24
    p[1] = (v >> 16) & 255
    p[2] = (v >> 8) & 255
    p[3] = v & 255


cdef inline void put64(unsigned char* p, uint64_t v) noexcept:
    put32(p, <uint32_t>(v >> 32))
    put32(p + 4, <uint32_t>v)


cdef void* own_pid(void* table, uint32_t id, uint32_t serial) noexcept:
    """A local process's own Pid, whose pointer makes sending to it free of look-ups."""
    cdef Kernel home = <Kernel>table
    if id == 0 or id > home.slots_used or home.slots[id - 1].process == NULL or home.slots[id - 1].serial != serial:
        return NULL
    return <void*>(<Process>home.slots[id - 1].process).pid


cdef class Assembly:
    """A message whose fragments are still coming."""
    cdef bytearray data
    cdef uint64_t left              # number of the last fragment seen; they count down to 1
    cdef list refs                  # atoms of the first piece's header: they serve the whole message


cdef class Wire(Route):
    """The route over one established connection; see the module's text.

    node: the peer; fd: its socket, non-blocking, owned from now on; flags: what both sides announced; ticktime: seconds;
    leftover: bytes that came behind the handshake.
    """

    def __cinit__(self):
        self.fd = -1
        memset(self.cache, 0, sizeof(self.cache))

    def __init__(self, Atom node not None, Kernel home not None, int fd, uint64_t flags, double ticktime, bytes leftover=b""):
        Route.__init__(self, node)
        self.home = home
        self.fd = fd
        self.flags = flags
        self.ticktime = ticktime
        self.enc = Encoder()
        self.dec = Decoder()
        self.dec.local_node = home.node
        self.dec.local_creation = home.creation
        self.dec.find_process = own_pid
        self.dec.table = <void*>home
        self.partial = {}
        self.suspended = []
        self.ops_in = {}
        self.in_cap = max(START_CAPACITY, len(leftover))
        self.inbuf = <unsigned char*>malloc(self.in_cap)
        if self.inbuf == NULL:
            raise MemoryError()
        memcpy(self.inbuf, <const unsigned char*>leftover, len(leftover))
        self.in_end = len(leftover)
        self.out = bm_out_new(fd, ticktime / 4)
        if self.out == NULL:
            raise MemoryError()

    def __dealloc__(self):
        cdef int i
        if self.out != NULL:
            bm_out_free(self.out)
        free(self.inbuf)
        for i in range(2048):
            Py_CLEAR(self.cache[i])

    def write_first(self, bytes data):
        """What the handshake still had to say, before any packet."""
        self.enc.reserve(len(data))
        memcpy(self.enc.buf, <const unsigned char*>data, len(data))
        self.enc.size = len(data)
        self.push_out()
        self.flush()

    def start(self):
        """Begin reading. What came behind the handshake is dispatched first; the node hooks have run by now."""
        loop = self.home.loop
        loop.add_reader(self.watched_fd(loop), self._readable)
        self.tick_timer = self.home.call_later(self.ticktime / 4, self._tick)
        if self.in_end:
            try:
                self.parse()
            except Exception as error:
                self.broken(error)
                return
            self.home.ask_drain()

    def watched_fd(self, loop):
        """What the loop watches for reading. libuv stops watching a socket at POLLERR without calling anybody, so that a peer's
        reset would go unnoticed until the tick time is over; an epoll set that holds the socket just becomes readable."""
        if not type(loop).__module__.startswith("uvloop") or not hasattr(select, "epoll"):
            return self.fd
        self.watch = select.epoll()
        self.watch.register(self.fd, select.EPOLLIN | select.EPOLLRDHUP)
        return self.watch.fileno()

    # ---- the end

    def close(self, why="closed by us"):
        """Stop at once; `on_lost` is told. What the socket still takes is written first."""
        if self.closed:
            return
        self.closed = True
        bm_out_flush(self.out)
        loop = self.home.loop
        loop.remove_reader(self.fd if self.watch is None else self.watch.fileno())
        if self.writing:
            loop.remove_writer(self.fd)
        if self.tick_timer is not None:
            self.tick_timer.cancel()
        bm_out_free(self.out)
        self.out = NULL
        if self.watch is not None:
            self.watch.close()
        os.close(self.fd)
        self.fd = -1
        self.partial.clear()
        self.partial_bytes = 0
        suspended, self.suspended = self.suspended, []
        for process in suspended:
            self.home.resume(<Process>process)
        told, self.on_lost = self.on_lost, None
        self.on_request = None
        if told is not None:
            told(self, why)

    def broken(self, error):
        """The peer broke the protocol (or we did while reading it): its connection ends."""
        self.close(error)

    @property
    def is_closed(self):
        return self.closed

    @property
    def pending_bytes(self):
        """Bytes encoded and not yet taken by the socket."""
        return 0 if self.out == NULL else bm_out_pending(self.out)

    def statistics(self):
        """Counters, by name."""
        out = {} if self.out == NULL else {"bytes_out": self.out.bytes, "ticks_out": self.out.ticks, "writes": self.out.writes}
        return {"bytes_in": self.bytes_in, "packets_in": self.packets_in, "packets_out": self.packets_out,
                "messages_in": self.messages_in, "messages_out": self.messages_out, "pending": self.pending_bytes,
                "reads": self.reads, "fragmented": len(self.partial), "ops_in": dict(self.ops_in), **out}

    def _tick(self):
        """Every quarter of the tick time: has the peer said anything?"""
        if self.closed:
            return
        if self.packets_seen == self.packets_in:
            # Perhaps it is we who did not look: read before judging.
            if self.silent_ticks >= 3:
                self._readable()
                if self.closed:
                    return
            if self.packets_seen == self.packets_in:
                self.silent_ticks += 1
                if self.silent_ticks >= 4:
                    self.close(f"net_tick_timeout: nothing heard for {self.ticktime:g} s")
                    return
            else:
                self.silent_ticks = 0
        else:
            self.silent_ticks = 0
        self.packets_seen = self.packets_in
        self.tick_timer = self.home.call_later(self.ticktime / 4, self._tick)

    # ---- reading

    def _readable(self):
        cdef Py_ssize_t got, room
        if self.closed:
            return
        if self.in_start == self.in_end:
            self.in_start = self.in_end = 0
            if self.in_cap > 4 << 20:
                free(self.inbuf)
                self.in_cap = START_CAPACITY
                self.inbuf = <unsigned char*>malloc(self.in_cap)
                if self.inbuf == NULL:
                    raise MemoryError()
        room = self.in_cap - self.in_end
        if self.in_need > self.in_end and room > self.in_need - self.in_end:
            room = self.in_need - self.in_end   # up to the end of a large packet: what follows would have to be moved
        got = bm_recv(self.fd, self.inbuf + self.in_end, room)
        self.reads += 1
        if got <= 0:
            if got == 0:
                self.close("connection closed by the peer")
            elif got != -11 and got != -35:      # EAGAIN on Linux and on BSD
                self.close(f"read failed: {os.strerror(-got)}")
            return
        self.in_end += got
        self.bytes_in += got
        try:
            self.parse()
        except Exception as error:
            self.broken(error)
        self.home.drain_now()

    cdef int parse(self) except -1:
        """Dispatch every whole packet in the buffer and make room for the rest."""
        cdef Py_ssize_t size, have
        cdef unsigned char* grown
        cdef Py_ssize_t cap
        while not self.closed:
            have = self.in_end - self.in_start
            if have < 4:
                break
            size = u32(self.inbuf + self.in_start)
            if size == 0:
                self.in_start += 4
                self.packets_in += 1
                continue
            if size > MAX_PACKET:
                raise RemoteProtocolError(f"announces a packet of {size} bytes; at most {MAX_PACKET} are taken")
            if have < 4 + size:
                if self.in_start + 4 + size > self.in_cap:
                    if self.in_start:
                        memmove(self.inbuf, self.inbuf + self.in_start, have)
                        self.in_start = 0
                        self.in_end = have
                    if self.in_end == self.in_cap:
                        # Grows with what really arrived, not with what was announced.
                        cap = self.in_cap * 2
                        if cap > 4 + size + START_CAPACITY:
                            cap = 4 + size + START_CAPACITY
                        grown = <unsigned char*>realloc(self.inbuf, cap)
                        if grown == NULL:
                            raise MemoryError()
                        self.inbuf = grown
                        self.in_cap = cap
                self.in_need = self.in_start + 4 + size if size > START_CAPACITY else 0
                return 0
            self.packets_in += 1
            self.in_need = 0
            self.in_start += 4 + size
            self.packet(self.inbuf + self.in_start - size, size)
        if self.in_start and self.in_end - self.in_start < 4 and self.in_end == self.in_cap:
            have = self.in_end - self.in_start
            memmove(self.inbuf, self.inbuf + self.in_start, have)
            self.in_start = 0
            self.in_end = have
        return 0

    cdef int packet(self, const unsigned char* p, Py_ssize_t n) except -1:
        cdef const unsigned char* end = p + n
        cdef uint64_t sequence, number
        cdef Assembly assembly
        cdef Py_ssize_t old, i
        if p[0] == PASS_THROUGH:
            if n < 3 or p[1] != VERSION:
                raise RemoteProtocolError("sent a pass-through packet without a term")
            self.ref_count = 0
            self.dec.cache_refs = self.refs
            self.dec.cache_count = 0
            self.dec.start = p
            self.dec.p = p + 2
            self.dec.end = end
            control = self.dec.term()
            if self.dec.p < end:
                if self.dec.p[0] != VERSION:
                    raise RemoteProtocolError("sent a payload without its version byte")
                self.dec.p += 1
            return self.run(control)
        if p[0] != VERSION or n < 3:
            raise RemoteProtocolError(f"sent a packet that begins with {bytes(p[:min(n, 4)])!r}")
        if p[1] == HEADER:
            p = self.header(p + 2, end)
            self.dec.start = p
            self.dec.p = p
            self.dec.end = end
            return self.run(self.dec.term())
        if p[1] == FIRST_FRAGMENT:
            if n < 19:
                raise RemoteProtocolError("sent a fragment that is too short")
            sequence, number = u64(p + 2), u64(p + 10)
            p = self.header(p + 18, end)
            if number == 0:
                raise RemoteProtocolError("sent a fragment number 0")
            if number == 1:
                self.dec.start = p
                self.dec.p = p
                self.dec.end = end
                return self.run(self.dec.term())
            if sequence in self.partial:
                raise RemoteProtocolError(f"began fragment sequence {sequence} twice")
            if len(self.partial) >= MAX_FRAGMENTED_MESSAGES:
                raise RemoteProtocolError(f"has more than {MAX_FRAGMENTED_MESSAGES} fragmented messages under way")
            assembly = Assembly.__new__(Assembly)
            assembly.left = number
            assembly.refs = [<object>self.refs[i] for i in range(self.ref_count)]
            assembly.data = bytearray(p[:end - p])
            self.partial[sequence] = assembly
            self.count_partial(end - p)
            return 0
        if p[1] == NEXT_FRAGMENT:
            if n < 18:
                raise RemoteProtocolError("sent a fragment that is too short")
            sequence, number = u64(p + 2), u64(p + 10)
            assembly = self.partial.get(sequence)
            if assembly is None or number != assembly.left - 1:
                raise RemoteProtocolError(f"sent fragment {number} of sequence {sequence} out of order")
            assembly.left = number
            old = PyByteArray_GET_SIZE(assembly.data)
            if old + n - 18 > MAX_MESSAGE:
                raise RemoteProtocolError(f"sent a message above {MAX_MESSAGE} bytes in fragments")
            PyByteArray_Resize(assembly.data, old + n - 18)
            memcpy(PyByteArray_AS_STRING(assembly.data) + old, p + 18, n - 18)
            self.count_partial(n - 18)
            if number == 1:
                del self.partial[sequence]
                self.partial_bytes -= PyByteArray_GET_SIZE(assembly.data)
                self.ref_count = <int>len(assembly.refs)
                for i in range(self.ref_count):
                    self.refs[i] = <PyObject*>assembly.refs[i]
                self.dec.cache_refs = self.refs
                self.dec.cache_count = self.ref_count
                self.dec.start = <const unsigned char*>PyByteArray_AS_STRING(assembly.data)
                self.dec.p = self.dec.start
                self.dec.end = self.dec.start + PyByteArray_GET_SIZE(assembly.data)
                return self.run(self.dec.term())
            return 0
        raise RemoteProtocolError(f"sent a packet of unknown form {p[1]}")

    def count_partial(self, Py_ssize_t more):
        self.partial_bytes += more
        if self.partial_bytes > MAX_FRAGMENTED_BYTES:
            raise RemoteProtocolError(f"has more than {MAX_FRAGMENTED_BYTES} bytes of unfinished messages under way")

    cdef const unsigned char* header(self, const unsigned char* p, const unsigned char* end) except NULL:
        """Read the atom cache references of a distribution header into `refs`.

        Layout  n: 1; if n > 0: n div 2 + 1 bytes of flags, a nibble an atom (new: 1, segment: 3; low nibble first), nibble n has
                the long-atoms bit; then an atom: index: 1, and if new: length: 1 (2 when long) and UTF-8 text.
        Source  ERTS, Distribution Protocol, "Distribution Header".
        """
        cdef int n, i, slot, nibble
        cdef bint long_atoms
        cdef const unsigned char* flags
        cdef Py_ssize_t length
        if p >= end:
            raise RemoteProtocolError("sent an empty distribution header")
        n = p[0]
        p += 1
        self.ref_count = n
        self.dec.cache_refs = self.refs
        self.dec.cache_count = n
        if n == 0:
            return p
        flags = p
        p += n // 2 + 1
        if p > end:
            raise RemoteProtocolError("sent a distribution header that is cut short")
        nibble = flags[n // 2]
        long_atoms = (nibble >> 4 if n & 1 else nibble) & 1
        for i in range(n):
            nibble = flags[i // 2]
            nibble = nibble >> 4 if i & 1 else nibble & 15
            if p >= end:
                raise RemoteProtocolError("sent a distribution header that is cut short")
            slot = ((nibble & 7) << 8) | p[0]
            p += 1
            if nibble & 8:
                if end - p < (2 if long_atoms else 1):
                    raise RemoteProtocolError("sent a distribution header that is cut short")
                if long_atoms:
                    length = (p[0] << 8) | p[1]
                    p += 2
                else:
                    length = p[0]
                    p += 1
                if end - p < length:
                    raise RemoteProtocolError("sent an atom that is cut short in its distribution header")
                made = intern_utf8(p, length)
                p += length
                Py_INCREF(made)
                Py_XDECREF(self.cache[slot])
                self.cache[slot] = <PyObject*>made
            elif self.cache[slot] == NULL:
                raise RemoteProtocolError(f"refers to atom cache entry {slot}, which it never filled")
            self.refs[i] = self.cache[slot]
        return p

    cdef int run(self, object control) except -1:
        """Dispatch one control message whose payload, if any, is what the decoder has left."""
        if type(control) is not tuple or PyTuple_GET_SIZE(control) < 3 and not (
                PyTuple_GET_SIZE(control) and control[0] == 5):
            raise RemoteProtocolError(f"sent a control message that is {control!r}"[:300])
        self.dispatch(<tuple>control)
        if self.dec.p != self.dec.end and not self.closed:
            raise RemoteProtocolError(f"sent {self.dec.end - self.dec.p} bytes too many behind control message {control[0]!r}")

    cdef object payload(self):
        if self.dec.p >= self.dec.end:
            raise RemoteProtocolError("sent a control message without its payload")
        return self.dec.term()

    cdef int dispatch(self, tuple control) except -1:
        cdef int op
        cdef Process process
        cdef Py_ssize_t n = PyTuple_GET_SIZE(control)
        if type(control[0]) is not int or not 0 < control[0] < 256:
            raise RemoteProtocolError(f"sent a control message with operation {control[0]!r}")
        op = control[0]
        if op == SEND_SENDER or op == SEND or op == SEND_TT or op == SEND_SENDER_TT:
            to = control[2]
            if type(to) is not Pid or n < 3:
                raise RemoteProtocolError(f"sent a message to {to!r}, which is no pid")
            message = self.payload()
            self.messages_in += 1
            process = self.home.find(<Pid>to)
            if process is not None:
                self.home.deliver(process, message)
            return 0
        if op == REG_SEND or op == REG_SEND_TT:
            if n < 4 or type(control[3]) is not Atom:
                raise RemoteProtocolError(f"sent a message to {control[3:]!r}, which is no name")
            message = self.payload()
            self.messages_in += 1
            named = self.home.names.get(control[3])
            if named is not None:
                self.home.deliver(<Process>named, message)
            return 0
        if op == ALIAS_SEND or op == ALIAS_SEND_TT:
            if type(control[2]) is not Ref:
                raise RemoteProtocolError(f"sent a message to {control[2]!r}, which is no alias")
            message = self.payload()
            self.messages_in += 1
            self.home.deliver_alias(<Ref>control[2], message)
            return 0
        self.ops_in[op] = self.ops_in.get(op, 0) + 1
        try:
            return self.rare(op, control)
        except (IndexError, TypeError, OverflowError) as error:
            raise RemoteProtocolError(f"sent a malformed control message {op} ({error})") from error

    cdef int rare(self, int op, tuple control) except -1:
        home = self.home
        if op == MONITOR_P:
            _, remote, target, ref = control
            if type(target) is not Pid and type(target) is not Atom:
                raise TypeError("target of the monitor")
            signals.in_monitor(home, self, remote, target, ref)
        elif op == DEMONITOR_P:
            _, remote, target, ref = control
            signals.in_demonitor(home, self, ref)
        elif op == MONITOR_P_EXIT:
            _, target, local, ref, reason = control
            signals.in_monitor_down(home, self, local, ref, reason)
        elif op == PAYLOAD_MONITOR_P_EXIT:
            _, target, local, ref = control
            signals.in_monitor_down(home, self, local, ref, self.payload())
        elif op == LINK:
            _, remote, local = control
            signals.in_link(home, self, remote, local)
        elif op == UNLINK_ID:
            _, number, remote, local = control
            signals.in_unlink(home, self, number, remote, local)
        elif op == UNLINK_ID_ACK:
            _, number, remote, local = control
            signals.in_unlink_ack(home, self, number, remote, local)
        elif op == UNLINK:
            _, remote, local = control
            signals.in_unlink(home, self, 0, remote, local)
        elif op == PAYLOAD_EXIT or op == PAYLOAD_EXIT_TT:
            signals.in_exit_linked(home, self, control[1], control[2], self.payload())
        elif op == EXIT_OP:
            _, remote, local, reason = control
            signals.in_exit_linked(home, self, remote, local, reason)
        elif op == EXIT_TT:
            _, remote, local, token, reason = control
            signals.in_exit_linked(home, self, remote, local, reason)
        elif op == PAYLOAD_EXIT2 or op == PAYLOAD_EXIT2_TT:
            signals.in_exit_signal(home, control[1], control[2], self.payload())
        elif op == EXIT2:
            _, remote, local, reason = control
            signals.in_exit_signal(home, remote, local, reason)
        elif op == EXIT2_TT:
            _, remote, local, token, reason = control
            signals.in_exit_signal(home, remote, local, reason)
        elif op == GROUP_LEADER:
            _, leader, local = control
            process = home.process_of(local)
            if type(leader) is not Pid:
                raise TypeError("group leader")
            if process is not None:
                process.leader = leader
        elif op == SPAWN_REQUEST or op == SPAWN_REQUEST_TT:
            args = self.payload()
            ref, remote, leader, mfa, opts = control[1:6]
            if type(ref) is not Ref or type(remote) is not Pid or type(leader) is not Pid or type(mfa) is not tuple \
                    or len(mfa) != 3 or type(args) is not list or type(opts) is not list:
                raise TypeError("spawn request")
            if self.on_request is not None:
                self.on_request(self, ref, remote, leader, mfa, args, opts)
        elif op == SPAWN_REPLY or op == SPAWN_REPLY_TT:
            ref, local, flags, result = control[1:5]
            self.spawn_replied(ref, local, flags, result)
        else:
            raise RemoteProtocolError(f"sent the unknown control message {op}")
        return 0

    def spawn_replied(self, Ref ref, Pid local, int flags, result):
        cdef Process process = self.home.find(local)
        request = self.requests.pop(ref, None)
        if process is None:
            if type(result) is Pid and flags & 1:
                self.exit_linked(local, <Pid>result, atom.noproc)   # whom it is linked to has died meanwhile
            return
        if request is None:
            return
        if type(result) is Pid:
            if flags & 1:
                signals.link_made(process, self, <Pid>result)
            if flags & 2:
                signals.monitor_made(process, self, <Pid>result, ref)
            self.home.deliver(process, (SPAWN_REPLY_ATOM, ref, OK, result))
        else:
            self.home.deliver(process, (SPAWN_REPLY_ATOM, ref, ERROR, result))

    # ---- writing

    cdef int begin(self) except -1:
        """Start a packet in the scratch buffer: length (to be filled in) and header."""
        cdef unsigned char* p
        if self.closed:
            return 0
        self.enc.size = 0
        self.enc.reserve(16)
        p = self.enc.buf
        if self.flags & (F_DIST_HDR | F_FRAGMENTS):
            p[4] = VERSION
            p[5] = HEADER
            p[6] = 0
            self.enc.size = 7
        else:
            p[4] = PASS_THROUGH
            p[5] = VERSION
            self.enc.size = 6
        return 0

    cdef int payload_follows(self) except -1:
        if not self.flags & (F_DIST_HDR | F_FRAGMENTS):
            self.enc.reserve(1)
            self.enc.buf[self.enc.size] = VERSION
            self.enc.size += 1
        return 0

    cdef int finish_packet(self, Py_ssize_t payload_at) except -1:
        """The packet is encoded: send it, in fragments if it is large."""
        cdef Py_ssize_t size = self.enc.size
        if size > FRAGMENT_ABOVE and self.flags & F_FRAGMENTS:
            return self.in_fragments(payload_at)
        if size - 4 > 0x7FFFFFFF:
            raise ValueError(f"a message of {size} bytes is too large for a peer without fragments")
        put32(self.enc.buf, <uint32_t>(size - 4))
        self.packets_out += 1
        return self.push_out()

    cdef int in_fragments(self, Py_ssize_t payload_at) except -1:
        """Cut the packet: everything up to `payload_at` (header, control) and a first piece, then pieces."""
        cdef Py_ssize_t total = self.enc.size, at, n, count
        cdef unsigned char* whole = self.enc.buf
        cdef Encoder source = self.enc
        cdef Encoder piece = Encoder()
        cdef uint64_t number
        self.sequence += 1
        count = (total - payload_at + FRAGMENT_SIZE - 1) // FRAGMENT_SIZE
        number = count
        at = payload_at
        self.enc = piece
        try:
            while number > 0:
                n = min(FRAGMENT_SIZE, total - at)
                piece.size = 0
                piece.reserve(n + 64 + payload_at)
                piece.buf[4] = VERSION
                piece.buf[5] = FIRST_FRAGMENT if number == <uint64_t>count else NEXT_FRAGMENT
                put64(piece.buf + 6, self.sequence)
                put64(piece.buf + 14, number)
                piece.size = 22
                if number == <uint64_t>count:
                    # The header (its count of atoms, 0) and the control message.
                    memcpy(piece.buf + 22, whole + 6, payload_at - 6)
                    piece.size += payload_at - 6
                memcpy(piece.buf + piece.size, whole + at, n)
                piece.size += n
                put32(piece.buf, <uint32_t>(piece.size - 4))
                self.packets_out += 1
                self.push_out()
                at += n
                number -= 1
        finally:
            self.enc = source
        return 0

    cdef int push_out(self) except -1:
        cdef size_t cap = self.enc.cap
        cdef Py_ssize_t pending
        if self.closed:
            return 0
        if bm_out_append(self.out, &self.enc.buf, self.enc.size, &cap) < 0:
            raise MemoryError()
        self.enc.cap = cap
        self.enc.size = 0
        pending = bm_out_pending(self.out)
        if pending >= 65536 and not self.writing:
            self.flush()
            pending = self.pending_bytes
            if pending > CLOSE_BYTES:
                self.home.call_soon(self.close, f"it does not read: {pending} bytes wait for it")
        if not self.dirty_now and pending:
            self.dirty_now = True
            self.home.soil(self)
        return 0

    cpdef flush(self):
        cdef long long left
        self.dirty_now = False
        if self.closed:
            return
        left = bm_out_flush(self.out)
        if left < 0:
            self.home.call_soon(self.close, f"write failed: {os.strerror(-left)}")
            return
        if left == 0:
            if self.writing:
                self.writing = False
                self.home.loop.remove_writer(self.fd)
            bm_out_trim(self.out)
        elif not self.writing:
            self.writing = True
            self.home.loop.add_writer(self.fd, self._writable)
        if self.suspended and left < BUSY_BYTES // 2:
            suspended, self.suspended = self.suspended, []
            for process in suspended:
                self.home.resume(<Process>process)

    def _writable(self):
        self.flush()

    cdef int control(self, tuple control) except -1:
        """Send a control message without payload."""
        if self.closed:
            return 0
        self.begin()
        self.enc.term(control)
        return self.finish_packet(self.enc.size)

    cdef int control_with(self, tuple control, object payload) except -1:
        cdef Py_ssize_t at
        if self.closed:
            return 0
        self.begin()
        self.enc.term(control)
        at = self.enc.size
        self.payload_follows()
        self.enc.term(payload)
        return self.finish_packet(at)

    cpdef send(self, Pid sender, object to, object message):
        cdef unsigned char* p
        cdef Py_ssize_t at, pending
        if self.closed:
            return
        if PyThread_get_thread_ident() != self.home.thread:
            # The scratch buffer belongs to the loop's thread.
            self.home.call_soon_threadsafe(self.send, sender, to, message)
            return
        pending = bm_out_pending(self.out)
        if pending > BUSY_BYTES:
            self.busy(pending)
        self.begin()
        self.enc.reserve(8)
        p = self.enc.buf + self.enc.size
        p[0] = 104
        p[2] = 97
        if type(to) is Pid:
            p[1] = 3
            if sender is not None and self.flags & F_SEND_SENDER:
                p[3] = SEND_SENDER
                self.enc.size += 4
                self.enc.term(sender)
            else:
                p[3] = SEND
                self.enc.size += 4
                self.enc.term(EMPTY)
            self.enc.term(to)
        elif type(to) is Ref:
            p[1] = 3
            p[3] = ALIAS_SEND
            self.enc.size += 4
            self.enc.term(self.speaker(sender))
            self.enc.term(to)
        else:
            p[1] = 4
            p[3] = REG_SEND
            self.enc.size += 4
            self.enc.term(self.speaker(sender))
            self.enc.term(EMPTY)
            self.enc.term(to)
        at = self.enc.size
        self.payload_follows()
        self.enc.term(message)
        self.messages_out += 1
        self.finish_packet(at)

    cdef Pid speaker(self, Pid sender):
        """Who sends what comes from no process: `user`, or a pid that nobody has."""
        if sender is not None:
            return sender
        return self.home.user if self.home.user is not None else new_pid(self.home.node, 0, 0, self.home.creation)

    def busy(self, Py_ssize_t pending):
        """The peer takes less than we send: the sender rests at its next receive, or is refused."""
        cdef Process here
        if pending > REFUSE_BYTES:
            raise ConnectionBusy(
                f"{pending} bytes already wait to be sent to {self.node}; let the sender receive or sleep between its sends")
        if get_current() == NULL:
            return
        here = <Process>get_current()
        # The runtime's own processes go on: the cluster's locks must not hang on one slow reader.
        if here.home is self.home and not here.bits & (SUSPENDED | SYSTEM):
            here.bits |= SUSPENDED
            self.suspended.append(here)

    cpdef link(self, Pid local, Pid remote):
        self.control((LINK, local, remote))

    cpdef unlink(self, Pid local, Pid remote, uint64_t id):
        if self.flags & F_UNLINK_ID:
            self.control((UNLINK_ID, id, local, remote))
        else:
            self.control((UNLINK, local, remote))
            signals.in_unlink_ack(self.home, self, id, remote, local)

    cpdef unlink_ack(self, Pid local, Pid remote, uint64_t id):
        if id:
            self.control((UNLINK_ID_ACK, id, local, remote))

    cpdef exit_linked(self, Pid local, Pid remote, object reason):
        if self.flags & F_EXIT_PAYLOAD:
            self.with_reason((PAYLOAD_EXIT, local, remote), reason)
        else:
            self.control((EXIT_OP, local, remote, reason))

    cpdef exit_signal(self, Pid local, Pid remote, object reason):
        if self.flags & F_EXIT_PAYLOAD:
            self.with_reason((PAYLOAD_EXIT2, local, remote), reason)
        else:
            self.control((EXIT2, local, remote, reason))

    def with_reason(self, tuple control, reason):
        """News of a death must go out even when its reason is no term."""
        try:
            self.control_with(control, reason)
        except ValueError as error:
            self.control_with(control, (atom.unsendable_reason, repr(reason)[:1000], str(error)[:1000]))

    cpdef monitor(self, Pid local, object target, Ref ref):
        self.control((MONITOR_P, local, target, ref))

    cpdef demonitor(self, Pid local, object target, Ref ref):
        self.control((DEMONITOR_P, local, target, ref))

    cpdef monitor_down(self, object target, Pid remote, Ref ref, object reason):
        if self.flags & F_EXIT_PAYLOAD:
            self.with_reason((PAYLOAD_MONITOR_P_EXIT, target, remote, ref), reason)
        else:
            self.control((MONITOR_P_EXIT, target, remote, ref, reason))

    cpdef spawn_request(self, Ref ref, Pid local, Pid leader, tuple mfa, list args, list opts):
        if not self.flags & F_SPAWN:
            self.requests.pop(ref, None)
            self.home.deliver_pid(local, (SPAWN_REPLY_ATOM, ref, ERROR, atom.notsup))
            return
        self.control_with((SPAWN_REQUEST, ref, local, leader, mfa, opts), args)

    cpdef spawn_reply(self, Ref ref, Pid remote, int flags, object pid_or_reason):
        self.control((SPAWN_REPLY, ref, remote, flags, pid_or_reason))

    cpdef group_leader(self, Pid leader, Pid remote):
        self.control((GROUP_LEADER, leader, remote))
