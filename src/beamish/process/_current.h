/* The process that runs on this thread (borrowed), one definition for all compiled modules: only _core includes this.
 * The initial-exec model makes each access one instruction; eight bytes fit into what every loader keeps free for it. */
#if defined(__GNUC__) && defined(__linux__)
static __thread void *beamish_current_process __attribute__((tls_model("initial-exec"))) = 0;
#else
static __thread void *beamish_current_process = 0;
#endif
