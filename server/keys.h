/* keys - the keys that sign session tokens, in state_dir/session.keys (0600).
 *
 * Made at the first start, two at a time: rotation signs with a new one and keeps the old one for
 * verification. The file is replaced atomically and durably before anybody signs with a new key, so
 * a crash at any instant leaves either set, and no token outlives the key that signed it by a
 * restart. Supervisor only; workers get the keys from the board.
 *
 *   restante session keys 1
 *   <id: 8 hex digits> <secret: 64 hex digits>      the one that signs
 *   <id> <secret>                                   the one before, if there was one
 */
#ifndef SERVER_KEYS_H
#define SERVER_KEYS_H

#include "common/token.h"

#define KEYS_FILE "session.keys"

/* Reads the file, or makes it. state_dir: an existing directory. 0; -EBADMSG the file is not what
 * this program writes (never replaced: that would revoke every token); -EPERM others may read it;
 * -errno. */
int keys_load(const char *state_dir, struct session_keys *ret);

/* A new key in front, the former first one behind it; on disk before *keys changes. 0 or -errno
 * (then nothing changed). */
int keys_rotate(const char *state_dir, struct session_keys *keys);

#define KEYS_RETRY_MS 5000

struct supervisor;
/* Supervisor: rotates, and shows the result on the board; answers all who asked for it by then.
 * A failure is logged. 0 or -errno. */
int keys_rotate_now(struct supervisor *s);
/* Supervisor, each turn: the same when board.rotate_wanted has moved; after a failure again in
 * KEYS_RETRY_MS. */
void keys_proceed(struct supervisor *s);

#endif
