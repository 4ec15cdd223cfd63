/* last_word - an answer to a connection that no protocol takes: a problem document in HTTP/1.1, and
 * the end. Worker process.
 */
#ifndef WORKER_LAST_WORD_H
#define WORKER_LAST_WORD_H

#include "common/code.h"

struct worker;

/* Best effort: nothing waits for it. detail: plain text without quotes or backslashes. A 503 says
 * that nothing was done and when to come again. Closes fd; counts nothing. */
void last_word(struct worker *w, int fd, enum code code, const char *detail);

#endif
