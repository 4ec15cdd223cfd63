/* start - what is made before the first role starts, and taken down after the last one has left.
 * Supervisor only.
 */
#ifndef SERVER_START_H
#define SERVER_START_H

#include "common/conf.h"

struct supervisor;

/* Nothing made yet: start_undo may be called. conf and config_path outlive s. */
void start_init(struct supervisor *s, struct conf *conf, const char *config_path);
/* Locks, log, keys, listening sockets, shared memory, bells, admin socket, signals. text: the bytes
 * of the configuration, copied. 0; -EALREADY another server holds state_dir or run_dir; -errno. All
 * failures are logged. */
int start_all(struct supervisor *s, struct str text);
/* Closes what is open and removes what is ours to remove: admin socket, unix listeners, pid file.
 */
void start_undo(struct supervisor *s);

#endif
