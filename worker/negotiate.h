/* negotiate - what an Accept header thinks of a media type (RFC 9110 section 12.5.1). Worker. */
#ifndef WORKER_NEGOTIATE_H
#define WORKER_NEGOTIATE_H

#include "common/str.h"

#define NEGOTIATE_FULL 1000

struct accept {         /* the verdict on one media type, over one or several header lines */
    unsigned quality;   /* thousandths */
    unsigned exactness; /* 0: no range matches, 1: any type, 2: its family, 3: itself */
};

/* Lets a header line speak: the most exact range that matches counts, of equal ones the better.
 * Parameters other than q are passed over, a q that is none counts as 1. type is "a/b", in lower
 * case. */
void negotiate(struct str accept, const char *type, struct accept *verdict);

#endif
