from beamish.process._core cimport Process, Scheduler
from beamish.term._identifiers cimport Pid, Ref

cdef int finish(Process process, object reason) except -1
cdef int exit_signal_to(Process target, object source, object reason, bint linked) except -1
cdef int kill(Process target, object reason) except -1
