/* ws_scan - where frames of a client begin and end, and what is wrong with their heads.
 *
 * libwebsockets 4.1 takes unmasked frames, and ends a connection without a word for some of what
 * RFC 6455 section 5 forbids; so every byte passes here first, and only what is in order reaches
 * it. Payloads are not looked at. Pure.
 */
#ifndef WORKER_WS_SCAN_H
#define WORKER_WS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_SCAN_BURST 16 /* messages after which a scan pauses */

struct ws_scan {           /* zero it before its first use */
    uint64_t left;         /* bytes of the present frame's payload that are still to come */
    uint64_t message;      /* payload bytes of the present message up to the present frame's end */
    unsigned char head[8]; /* the first two bytes of the head; then its length */
    unsigned char have;    /* bytes of the head so far */
    bool inside;           /* the head is complete, payload is to come */
    bool open;             /* a message is open: fragments are to come */
};

enum ws_seen {
    WS_SEEN_ALL,   /* all bytes are in order */
    WS_SEEN_BURST, /* WS_SCAN_BURST messages ended */
    WS_SEEN_PING,  /* a ping ended */
    WS_SEEN_CLOSE, /* a close frame ended */
    WS_SEEN_FAULT, /* the last byte is not in order: WS_PROTOCOL_ERROR */
    WS_SEEN_LARGE, /* the head's last byte makes the message larger than max: WS_TOO_LARGE */
};

struct ws_run {
    enum ws_seen seen; /* why the scan stopped */
    size_t used;       /* bytes that it went through */
    unsigned frames;   /* of data that ended in them */
    bool whole;        /* the last byte is the last of a frame of data */
};

/* Goes through at most n bytes, n > 0. After a fault it can go on, at the byte behind, to find the
 * peer's close. */
struct ws_run ws_scan(struct ws_scan *s, const unsigned char *p, size_t n, uint64_t max);

#endif
