/* stop - the orderly end, in two phases.
 *
 *   workers  board.draining = 1, SIGTERM to the workers: they accept no more, answer their polls
 * and leave. Who is still there after server.drain gets SIGKILL. The writer goes on serving them,
 * and is respawned if it dies. writer   SIGTERM to the writer: it commits what is in the rings and
 * leaves. It gets server.drain once more, and at least STOP_WRITER_MS.
 *
 * A second request is fast: SIGKILL to the workers, then the writer orderly. A writer that had to
 * be killed, and a role that could not be started, make the exit status EXIT_FAILED; even then no
 * accepted message is lost, since accepted means committed. Supervisor only.
 */
#ifndef SERVER_STOP_H
#define SERVER_STOP_H

#include <stdbool.h>
#include <stdint.h>

#define STOP_WRITER_MS 10000

enum stop_phase { STOP_NOT, STOP_WORKERS, STOP_WRITER, STOP_DONE };

struct stop {
    enum stop_phase phase;
    uint64_t began_ms;
    uint64_t deadline_ms; /* of the phase; boot clock */
    bool fast;
    bool failed; /* exit status 1 */
};

struct supervisor;
struct child;

void stop_request(struct supervisor *s, const char *reason); /* the second one is fast */
void stop_failed(struct supervisor *s);                      /* orderly too, but exit status 1 */
/* A child has ended: is it still wanted? status: of waitpid. */
void stop_on_ended(struct supervisor *s, struct child *c, int status);
void stop_proceed(struct supervisor *s); /* each turn */

#endif
