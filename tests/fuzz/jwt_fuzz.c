/* jwt_fuzz - any bytes as a credential, as a header, as claims, and as both (cut at a NUL). The
 * first byte chooses; header and claims are signed rightly, so that what stands behind the
 * signature is reached.
 */
#include <stdlib.h>

#include "common/digest.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/token.h"
#include "common/utf8.h"

#define NOW_MS 1700000000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char secret[] = "0123456789abcdef0123456789abcdef";
static const struct conf_token_key keys[] = {
    {.kid = (char[]){"a"}, .secret = secret, .secret_len = 32},
    {.kid = (char[]){"b"}, .secret = secret, .secret_len = 32},
};

static void verify(struct str token)
{
    struct token_claims c;
    static const struct session_keys session_keys = {.key = {{1, {1}}, {2, {2}}}};
    uint8_t id[SESSION_ID_SIZE];

    for (size_t n = 1; n <= 2; n++) {
        enum code code = token_jwt_verify(keys, n, token, NOW_MS, 300000, &c);
        must(code == CODE_OK || (code_status(code) == 401 && code != CODE_TOKEN_MISSING &&
                                 code != CODE_TOKEN_REVOKED));
        if (code != CODE_OK)
            continue;
        must(token.n <= TOKEN_MAX && c.exp_ms + TOKEN_LEEWAY_MS > NOW_MS);
        must(*c.subject && strlen(c.subject) <= 255 && utf8_valid(str_of(c.subject)));
        must(c.topics || c.ntopics == 0);
        for (size_t i = 0; i < c.ntopics; i++)
            must(*c.topics[i] && strlen(c.topics[i]) <= 255);
        must(!c.attributes || *c.attributes == '{');
        token_claims_free(&c);
    }
    (void)token_kind_of(token);
    must(session_token_verify(&session_keys, token, id) != CODE_OK);
}

static size_t put(char *at, struct str s)
{
    return b64url_encode(s.p, s.n, at);
}

static void verify_signed(struct str header, struct str claims)
{
    size_t max = (header.n + claims.n) * 2 + 128, n;
    char *token = malloc(max);
    uint8_t mac[DIGEST_SIZE];

    if (!token)
        return;
    n = put(token, header);
    token[n++] = '.';
    n += put(token + n, claims);
    hmac_sha256(str_make(secret, 32), str_make(token, n), mac);
    token[n++] = '.';
    n += put(token + n, str_make(mac, sizeof(mac)));
    verify(str_make(token, n));
    free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str input = str_make(data + 1, size - 1);
    const char *nul = memchr(input.p, 0, input.n);
    size_t head = nul ? (size_t)(nul - input.p) : input.n;
    switch (data[0] % 4) {
    case 0:
        verify(input);
        break;
    case 1:
        verify_signed(input, STR("{\"sub\":\"u\",\"exp\":1700000100}"));
        break;
    case 2:
        verify_signed(STR("{\"alg\":\"HS256\",\"kid\":\"a\"}"), input);
        break;
    default:
        verify_signed(str_make(input.p, head),
                      nul ? str_make(nul + 1, input.n - head - 1) : STR(""));
    }
    return 0;
}
