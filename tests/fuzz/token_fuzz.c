/* token_fuzz - credentials of arbitrary bytes. The signature is made good now and then, so that the
 * claims behind it are reached too: the first byte chooses. */
#include <stdlib.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned char secret[32] = "0123456789abcdef0123456789abcde";
static char kid[] = "main";

static void verify(struct str token)
{
    struct conf_token_key key = {.kid = kid, .secret = secret, .secret_len = sizeof(secret)};
    struct token_claims claims = {0};
    uint64_t now = 1780000000000u;
    if (token_jwt_verify(&key, 1, token, now, 300000, &claims) == CODE_OK) {
        must(claims.subject && claims.subject[0]);
        token_claims_free(&claims);
    }
}

/* header and claims from the input, split at its first NUL, signed as they should be */
static void verify_signed(const char *text, size_t n)
{
    const char *nul = memchr(text, 0, n);
    size_t head = nul ? (size_t)(nul - text) : n;
    struct buf token;
    unsigned char mac[32];
    char encoded[TOKEN_MAX * 2];
    if (n > TOKEN_MAX / 2)
        return;
    buf_init(&token, TOKEN_MAX * 4);
    buf_append(&token, encoded, b64url_encode(text, head, encoded));
    buf_append_c(&token, '.');
    if (nul)
        buf_append(&token, encoded, b64url_encode(nul + 1, n - head - 1, encoded));
    hmac_sha256(str_make((const char *)secret, sizeof(secret)), buf_str(&token), mac);
    buf_append_c(&token, '.');
    buf_append(&token, encoded, b64url_encode(mac, sizeof(mac), encoded));
    verify(buf_str(&token));
    buf_free(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct session_keys keys = {{{1, {1}}, {2, {2}}}};
    if (n == 0)
        return 0;
    struct str text = str_make((const char *)data + 1, n - 1);
    uint8_t id[SESSION_ID_SIZE];
    token_kind_of(text);
    if (data[0] & 1) {
        verify_signed(text.p, text.n);
    } else {
        verify(text);
        must(session_token_verify(&keys, text, id) != CODE_OK);
    }
    return 0;
}
