/* killpoint - die here, in test builds (make KILL=1).
 *
 * RESTANTE_KILL="<role>:<name>:<n>" makes the n-th pass (from 1) of that point in a process of that
 * role (as log_init was told) raise SIGKILL, once: the file named by RESTANTE_KILL_ONCE is created
 * with O_EXCL first, and when it exists the point does nothing, so that a respawned role lives;
 * without RESTANTE_KILL_ONCE every process of the role dies there. A text that is not of that form
 * is our own mistake and aborts. In ordinary builds it is nothing at all.
 */
#ifndef COMMON_KILLPOINT_H
#define COMMON_KILLPOINT_H

#ifdef KILLPOINT
/* A unit test that includes a source brings its own. */
#elif defined(RESTANTE_KILLPOINTS)
void killpoint_pass(const char *name);
#define KILLPOINT(name) killpoint_pass(name)
#else
#define KILLPOINT(name) ((void)0)
#endif

#endif
