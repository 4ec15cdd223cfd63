/* h1_chunk - the chunked transfer coding, decoded strictly (RFC 9112 section 7.1).
 *
 * Bytes in, pieces of data out, in whatever pieces they come. Every line ends with CRLF; sizes have
 * at most 16 digits; extensions are skipped, trailers are judged as lines and dropped, both bounded
 * over the whole body. It is not left to the parser, whose lenient build takes a bare LF inside an
 * extension for part of it: enough to smuggle a request past a proxy that reads it otherwise. Pure.
 * Worker process.
 */
#ifndef WORKER_H1_CHUNK_H
#define WORKER_H1_CHUNK_H

#include "common/str.h"
#include "worker/h1_fault.h"

#include <stdint.h>

#define H1_CHUNK_DIGITS 16 /* hexadecimal digits of a size, leading zeros included */

struct h1_chunk {
    uint64_t left;  /* bytes of the present chunk's data still to come */
    uint32_t extra; /* bytes of extensions and trailers so far */
    uint32_t extra_max;
    uint8_t state;
    uint8_t digits;
};

void h1_chunk_init(struct h1_chunk *k, uint32_t extra_max);

enum h1_piece {
    H1_PIECE_NONE,  /* all n bytes used */
    H1_PIECE_SIZED, /* a size line ended: k->left bytes of data follow */
    H1_PIECE_DATA,  /* *ret_piece: the next bytes of the body, a view into data */
    H1_PIECE_END,   /* the body is complete; what follows is not of it */
    H1_PIECE_BAD    /* *ret_fault */
};

/* One step. *ret_used: bytes of data that were used up. */
enum h1_piece h1_chunk_next(struct h1_chunk *k, const char *data, size_t n, size_t *ret_used,
                            struct str *ret_piece, enum h1_fault *ret_fault);

#endif
