/* The process that runs on this thread (borrowed), one definition for all compiled modules: only _core includes this. */
static __thread void *beamish_current_process = 0;
