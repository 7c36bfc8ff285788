/* Reading what the interpreter does: a running frame's value stack, where `with` keeps the `__exit__` it will call; and whether
 * anything written in C runs between the interpreter's loop and us. */
#ifndef BEAMISH_FRAME_STACK_H
#define BEAMISH_FRAME_STACK_H

#include <Python.h>

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030D0000
/* Bytes of C stack between a local variable of the innermost interpreter loop (its _PyCFrame lies there) and here: the same number
 * whenever the loop itself called, more when a function in C is in between. */
static __attribute__((noinline)) Py_ssize_t beamish_distance(void) {
    volatile char here = 0;
    return (Py_ssize_t)((char *)PyThreadState_Get()->cframe - (char *)&here);
}
#else
static Py_ssize_t beamish_distance(void) { return -1; }
#endif

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000
#define BEAMISH_READS_STACK 1
#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE 1
#define BEAMISH_UNDEF_CORE 1
#endif
#include "internal/pycore_frame.h"
#ifdef BEAMISH_UNDEF_CORE
#undef Py_BUILD_CORE
#endif

/* Item `place` of the value stack, borrowed, or NULL. Only for places below the depth of the exception table's entry that
 * covers the present instruction: those are live whatever the interpreter is doing. */
static PyObject *beamish_stack_item(PyObject *frame, PyObject *code, int place) {
    _PyInterpreterFrame *inner = ((PyFrameObject *)frame)->f_frame;
    if (inner == NULL || place >= ((PyCodeObject *)code)->co_stacksize)
        return NULL;
    return inner->localsplus[((PyCodeObject *)code)->co_nlocalsplus + place];
}
#else
#define BEAMISH_READS_STACK 0
static PyObject *beamish_stack_item(PyObject *frame, PyObject *code, int place) { return NULL; }
#endif

#endif
