"""A binary heap of deadlines.

Cancelled timers stay in the heap until their time comes or until it is full: then it is swept before it grows, so that it
never holds more than about twice what is live. A process has one live entry however often it receives with a timeout, because an
entry that comes early is pushed again for the process's present deadline.
"""

from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdlib cimport free, realloc


cdef class Timer:
    """A message or a callback for later."""

    def __cinit__(self, double when, ref, dest, message, callback):
        self.when = when
        self.ref = ref
        self.dest = dest
        self.message = message
        self.callback = callback
        self.active = True

    def cancel(self):
        """Forget the timer; what it held is released now."""
        self.active = False
        self.dest = self.message = self.callback = None


cdef inline bint before(Entry* a, Entry* b) noexcept:
    return a.when < b.when or (a.when == b.when and a.number < b.number)


cdef class TimerHeap:
    """Deadlines, the earliest first."""

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            Py_XDECREF(self.entries[i].timer)
        free(self.entries)

    def __len__(self):
        return self.count

    cdef int push(self, double when, uint32_t id, uint32_t serial, Timer timer) except -1:
        cdef Py_ssize_t place, parent
        cdef Entry entry
        cdef Entry* grown
        if self.count == self.cap:
            grown = <Entry*>realloc(self.entries, (self.cap * 2 if self.cap else 16) * sizeof(Entry))
            if grown == NULL:
                raise MemoryError()
            self.entries = grown
            self.cap = self.cap * 2 if self.cap else 16
        self.made += 1
        entry.when = when
        entry.number = self.made
        entry.id = id
        entry.serial = serial
        entry.timer = NULL
        if timer is not None:
            Py_INCREF(timer)
            entry.timer = <PyObject*>timer
        place = self.count
        self.count += 1
        while place > 0:
            parent = (place - 1) >> 1
            if not before(&entry, &self.entries[parent]):
                break
            self.entries[place] = self.entries[parent]
            place = parent
        self.entries[place] = entry
        return 0

    cdef double first(self) noexcept:
        """When the earliest entry is due; negative if there is none."""
        return self.entries[0].when if self.count else -1.0

    cdef Entry pop(self) noexcept:
        """The earliest entry; the caller owns its timer reference. Not for an empty heap."""
        cdef Entry top = self.entries[0]
        cdef Entry last
        cdef Py_ssize_t place = 0, child
        self.count -= 1
        if self.count:
            last = self.entries[self.count]
            while True:
                child = 2 * place + 1
                if child >= self.count:
                    break
                if child + 1 < self.count and before(&self.entries[child + 1], &self.entries[child]):
                    child += 1
                if not before(&self.entries[child], &last):
                    break
                self.entries[place] = self.entries[child]
                place = child
            self.entries[place] = last
        return top


cdef int settle(TimerHeap heap) except -1:
    """Make a heap again of entries that were thinned out, with room for more."""
    cdef Py_ssize_t start, place, child
    cdef Entry moved
    cdef Entry* grown
    for start in range(heap.count // 2 - 1, -1, -1):
        moved = heap.entries[start]
        place = start
        while True:
            child = 2 * place + 1
            if child >= heap.count:
                break
            if child + 1 < heap.count and before(&heap.entries[child + 1], &heap.entries[child]):
                child += 1
            if not before(&heap.entries[child], &moved):
                break
            heap.entries[place] = heap.entries[child]
            place = child
        heap.entries[place] = moved
    if heap.count * 4 > heap.cap * 3:
        # Nearly all are live: the next sweep should be far away.
        grown = <Entry*>realloc(heap.entries, heap.cap * 2 * sizeof(Entry))
        if grown == NULL:
            raise MemoryError()
        heap.entries = grown
        heap.cap *= 2
    return 0
