from beamish.process._core cimport Call

cdef Call new_call(object target, object request, double timeout, object label)
cdef double seconds_of(object timeout) except? -2
