/* options - the command line of restanted. Pure: parsing and the help text. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include "common/buf.h"

enum verb { VERB_RUN, VERB_CHECK, VERB_SHOW, VERB_SAMPLE, VERB_VERSION, VERB_HELP, VERB_ROLE };

struct options {
    enum verb verb;
    const char *config; /* borrowed from argv; NULL: not given, and not needed */
};

/* 0; or -EINVAL, and one line for the user appended to why. */
int options_parse(int argc, char *const *argv, struct options *ret, struct buf *why);
/* The whole of --help: options, exit statuses, signals. 0 or a buf error. */
int options_help(struct buf *out);

#endif
