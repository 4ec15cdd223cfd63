/* h1_chunk - the chunked transfer coding, decoded strictly. */
#include "common/ids.h"

#include "worker/h1_chunk.h"
#include "worker/h1_scan.h"

enum state {
    SIZE_START, /* the first digit of a size */
    SIZE,
    BLANK, /* white space before `;` */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE_START, /* of a trailer, or of the empty line that ends it all */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    ENDED,
};

void h1_chunk_init(struct h1_chunk *k, uint32_t extra_max)
{
    *k = (struct h1_chunk){.extra_max = extra_max, .state = SIZE_START};
}

static bool is_text(char c)
{
    return (c >= ' ' && c != 0x7f) || c == '\t' || (c & 0x80);
}

static enum h1_fault on_size(struct h1_chunk *k, char c)
{
    int v = hex_value(c);
    if (v >= 0) {
        if (k->digits == H1_CHUNK_DIGITS)
            return H1_CHUNK_SIZE;
        k->digits++;
        k->left = k->left << 4 | (unsigned)v;
        k->state = SIZE;
        return H1_FINE;
    }
    if (k->state == SIZE_START)
        return H1_CHUNK_SIZE;
    if (c == '\r')
        k->state = SIZE_LF;
    else if (c == ';')
        k->state = EXTENSION;
    else if (c == ' ' || c == '\t')
        k->state = BLANK;
    else
        return H1_CHUNK_SIZE;
    return H1_FINE;
}

static enum h1_fault on_extension(struct h1_chunk *k, char c)
{
    if (c == '\r') {
        if (k->state == BLANK)
            return H1_CHUNK_EXTENSION;
        k->state = SIZE_LF;
        return H1_FINE;
    }
    if (!is_text(c) || ++k->extra > k->extra_max)
        return H1_CHUNK_EXTENSION;
    if (k->state == EXTENSION)
        return H1_FINE;
    if (c == ';')
        k->state = EXTENSION;
    else if (c != ' ' && c != '\t')
        return H1_CHUNK_EXTENSION;
    return H1_FINE;
}

static enum h1_fault on_trailer(struct h1_chunk *k, char c)
{
    if (c == '\r') {
        if (k->state == TRAILER_NAME)
            return H1_TRAILER;
        k->state = k->state == LINE_START ? END_LF : TRAILER_LF;
        return H1_FINE;
    }
    if (!is_text(c) || ++k->extra > k->extra_max)
        return H1_TRAILER;
    if (k->state == TRAILER_VALUE)
        return H1_FINE;
    if (c == ':' && k->state == TRAILER_NAME)
        k->state = TRAILER_VALUE;
    else if (h1_is_token(&c, 1))
        k->state = TRAILER_NAME;
    else
        return H1_TRAILER;
    return H1_FINE;
}

/* One byte of framing; data itself is taken in runs by the caller. */
static enum h1_fault on_byte(struct h1_chunk *k, char c)
{
    switch ((enum state)k->state) {
    case SIZE_START:
    case SIZE:
        return on_size(k, c);
    case BLANK:
    case EXTENSION:
        return on_extension(k, c);
    case SIZE_LF:
        k->state = k->left ? DATA : LINE_START;
        return c == '\n' ? H1_FINE : H1_CHUNK_SIZE;
    case DATA_CR:
        k->state = DATA_LF;
        return c == '\r' ? H1_FINE : H1_CHUNK_END;
    case DATA_LF:
        k->state = SIZE_START;
        k->digits = 0;
        return c == '\n' ? H1_FINE : H1_CHUNK_END;
    case LINE_START:
    case TRAILER_NAME:
    case TRAILER_VALUE:
        return on_trailer(k, c);
    case TRAILER_LF:
        k->state = LINE_START;
        return c == '\n' ? H1_FINE : H1_TRAILER;
    case END_LF:
        k->state = ENDED;
        return c == '\n' ? H1_FINE : H1_TRAILER;
    case DATA:
    case ENDED:
        break;
    }
    return H1_CHUNK_SIZE;
}

enum h1_piece h1_chunk_next(struct h1_chunk *k, const char *data, size_t n, size_t *ret_used,
                            struct str *ret_piece, enum h1_fault *ret_fault)
{
    size_t i = 0;
    while (i < n) {
        if (k->state == DATA) {
            size_t take = n - i < k->left ? n - i : (size_t)k->left;
            k->left -= take;
            if (k->left == 0)
                k->state = DATA_CR;
            *ret_piece = str_make(data + i, take);
            *ret_used = i + take;
            return H1_PIECE_DATA;
        }
        enum h1_fault f = on_byte(k, data[i++]);
        if (f != H1_FINE) {
            *ret_fault = f;
            *ret_used = i;
            return H1_PIECE_BAD;
        }
        if (k->state == DATA || k->state == ENDED) {
            *ret_used = i;
            return k->state == DATA ? H1_PIECE_SIZED : H1_PIECE_END;
        }
    }
    *ret_used = i;
    return H1_PIECE_NONE;
}
