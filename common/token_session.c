/* token_session - our own session tokens, and telling credentials apart by their looks.
 *
 * A session token says only which session it is for and since when; whether that session lives is
 * the store's to say. Numbers are big-endian, so a token means the same on any machine.
 */
#include <endian.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/token.h"

#define PREFIX "rs1."
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define MAC_SIZE 16

/* What is signed, and its signature. */
struct wire {
    uint32_t key;
    uint8_t session[SESSION_ID_SIZE];
    uint64_t seconds;
    uint8_t mac[MAC_SIZE];
} __attribute__((packed));

#define SIGNED_SIZE (sizeof(struct wire) - MAC_SIZE)
#define TEXT_LEN (PREFIX_LEN + (sizeof(struct wire) * 8 + 5) / 6)

_Static_assert(sizeof(struct wire) == 44, "key 4, session 16, seconds 8, mac 16");
_Static_assert(TEXT_LEN + 1 == SESSION_TOKEN_TEXT, "the header says so");

static void sign(const struct session_key *key, const struct wire *w, uint8_t ret[DIGEST_SIZE])
{
    hmac_sha256(str_make(key->secret, sizeof(key->secret)), str_make(w, SIGNED_SIZE), ret);
}

void session_token_mint(const struct session_keys *keys, const uint8_t id[SESSION_ID_SIZE],
                        uint64_t wall_ms, char ret[SESSION_TOKEN_TEXT])
{
    const struct session_key *key = &keys->key[0];
    struct wire w = {.key = htobe32(key->id), .seconds = htobe64(wall_ms / 1000)};
    uint8_t mac[DIGEST_SIZE];

    must(key->id != 0);
    memcpy(w.session, id, SESSION_ID_SIZE);
    sign(key, &w, mac);
    memcpy(w.mac, mac, MAC_SIZE);
    memcpy(ret, PREFIX, PREFIX_LEN);
    b64url_encode(&w, sizeof(w), ret + PREFIX_LEN);
}

static const struct session_key *find_key(const struct session_keys *keys, uint32_t id)
{
    for (size_t i = 0; i < sizeof(keys->key) / sizeof(keys->key[0]); i++)
        if (id != 0 && keys->key[i].id == id)
            return &keys->key[i];
    return NULL;
}

bool session_keys_have(const struct session_keys *keys, uint32_t id)
{
    return find_key(keys, id) != NULL;
}

static bool has_prefix(struct str s)
{
    return s.n >= PREFIX_LEN && memcmp(s.p, PREFIX, PREFIX_LEN) == 0;
}

/* Its members, believed or not. */
static bool take_apart(struct str token, struct wire *ret)
{
    if (token.n != TEXT_LEN || !has_prefix(token))
        return false;
    struct str body = str_make(token.p + PREFIX_LEN, token.n - PREFIX_LEN);
    return b64url_decode(body, ret, sizeof(*ret)) == (int)sizeof(*ret);
}

uint32_t session_token_signer(struct str token)
{
    struct wire w;
    return take_apart(token, &w) ? be32toh(w.key) : 0;
}

enum code session_token_verify(const struct session_keys *keys, struct str token,
                               uint8_t ret_id[SESSION_ID_SIZE])
{
    struct wire w;
    uint8_t mac[DIGEST_SIZE];

    if (!take_apart(token, &w))
        return CODE_TOKEN_MALFORMED;
    const struct session_key *key = find_key(keys, be32toh(w.key));
    if (!key)
        return CODE_TOKEN_UNKNOWN_KEY;
    sign(key, &w, mac);
    if (!digest_eq(mac, w.mac, MAC_SIZE))
        return CODE_TOKEN_BAD_SIGNATURE;
    memcpy(ret_id, w.session, SESSION_ID_SIZE);
    return CODE_OK;
}

enum token_kind token_kind_of(struct str credential)
{
    size_t dots = 0;

    if (has_prefix(credential))
        return TOKEN_SESSION;
    for (size_t i = 0; i < credential.n; i++)
        dots += credential.p[i] == '.';
    return dots == 2 ? TOKEN_JWT : TOKEN_OPAQUE;
}
