# Where this thread's C stack ends: the codec recurses, and threads have stacks from 128 KiB (musl) to 8 MiB.
cdef extern from *:
    """
    #include <pthread.h>
    #include <stddef.h>
    #include <stdint.h>

    #define BEAMISH_STACK_KEPT (128 * 1024)     /* for the Python code that a conversion may call */

    static __thread char *beamish_stack_floor;

    static char *beamish_find_stack_floor(void) {
        char here;
        char *low = NULL;
        size_t size = 0;
    #if defined(__linux__)
        pthread_attr_t attributes;
        void *base;
        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            if (pthread_attr_getstack(&attributes, &base, &size) == 0) low = (char *)base;
            pthread_attr_destroy(&attributes);
        }
    #elif defined(__APPLE__)
        size = pthread_get_stacksize_np(pthread_self());
        low = (char *)pthread_get_stackaddr_np(pthread_self()) - size;
    #endif
        if (low == NULL || low > &here) {       /* unknown: take it that little is left */
            size = 4 * BEAMISH_STACK_KEPT;
            low = (char *)((uintptr_t)&here - 2 * BEAMISH_STACK_KEPT);
        }
        return low + (size / 4 < BEAMISH_STACK_KEPT ? size / 4 : BEAMISH_STACK_KEPT);
    }

    /* The lowest address that the calling thread's recursion may reach. */
    static inline char *stack_floor(void) {
        if (beamish_stack_floor == NULL) beamish_stack_floor = beamish_find_stack_floor();
        return beamish_stack_floor;
    }

    static inline int stack_used_up(const char *floor) {
        return (char *)__builtin_frame_address(0) < floor;
    }
    """
    char* stack_floor() noexcept
    bint stack_used_up(const char* floor) noexcept
