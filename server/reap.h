/* reap - the death of a role: obituary, what others are told, whether and when a successor starts.
 * Supervisor only.
 */
#ifndef SERVER_REAP_H
#define SERVER_REAP_H

struct supervisor;

/* After SIGCHLD, and each turn: collects every report of the kernel (ended, stopped, went on).
 * Children that are not ours to know (inherited over exec) are collected and forgotten. */
void reap_proceed(struct supervisor *s);

#endif
