/* spawn - the birth of a role: fork, and exec of this same program with a role.
 *
 * A role inherits standard input (/dev/null), output and error, the heritage on descriptor 3, and
 * the descriptors named in it; every other one is closed. It ignores the signals that a terminal
 * sends to the whole group, gets SIGTERM when the supervisor dies, and finds its seat STARTING with
 * a generation that no process had before. Supervisor only.
 */
#ifndef SERVER_SPAWN_H
#define SERVER_SPAWN_H

#include <stdint.h>

#define SPAWN_RETRY_MS 1000 /* after a fork that the kernel refused */

struct supervisor;
struct child;

/* Each turn: starts every child that is wanted, dead and due; workers only once the writer has
 * reported ready for the first time. A refused fork is logged and tried again. */
void spawn_proceed(struct supervisor *s);

/* When the next child is due, in boot ms; UINT64_MAX: none waits. */
uint64_t spawn_due_ms(const struct supervisor *s);

#endif
