/* tls_ticket - see tls_ticket.h. The keys are read from the board for each ticket: 240 bytes beside
 * a handshake, and a rotation needs no word from anybody.
 */
#include "worker/tls_ticket.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

#include "common/log.h"
#include "shm/board.h"

#define TICKET_IV 16 /* of AES-CBC; OpenSSL passes room for EVP_MAX_IV_LENGTH */

_Static_assert(TICKET_IV <= EVP_MAX_IV_LENGTH, "the initialisation vector fits");

static const struct ticket_key *key_by_name(const struct ticket_keys *keys,
                                            const unsigned char name[16])
{
    for (size_t i = 0; i < TICKET_KEYS; i++) {
        if (memcmp(keys->key[i].name, name, sizeof(keys->key[i].name)) == 0)
            return &keys->key[i];
    }
    return NULL;
}

static bool set_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    char digest[] = "SHA256";
    unsigned char hmac[sizeof(key->hmac)];
    memcpy(hmac, key->hmac, sizeof(hmac)); /* the parameter's type is not const */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, hmac, sizeof(hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    bool ok = EVP_MAC_CTX_set_params(mac, params) == 1;
    explicit_bzero(hmac, sizeof(hmac));
    return ok;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 fine, 2 fine and the ticket is to be replaced, 0 this
 * ticket is of no use, -1 an error. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    struct ticket_keys keys;
    board_tickets_get(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)), &keys);
    const struct ticket_key *key = sealing ? &keys.key[0] : key_by_name(&keys, name);
    int result = key ? -1 : 0;
    if (key && sealing) {
        memcpy(name, key->name, sizeof(key->name));
        if (RAND_bytes(iv, TICKET_IV) == 1 &&
            EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv) == 1 &&
            set_mac(mac, key))
            result = 1;
    } else if (key) {
        if (set_mac(mac, key) &&
            EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv) == 1)
            result = key == &keys.key[0] ? 1 : 2;
    }
    explicit_bzero(&keys, sizeof(keys));
    return result;
}

int tls_ticket_setup(struct ssl_ctx_st *ctx, const struct board *board, uint64_t life_s)
{
    /* One context for all: no listener or name has clients, or rights, that another has not. */
    static const unsigned char context[] = "restante";
    if (SSL_CTX_set_app_data(ctx, (void *)(uintptr_t)board) != 1 ||
        SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1 ||
        SSL_CTX_set_num_tickets(ctx, 1) != 1)
        return -EINVAL;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* nothing is kept here */
    SSL_CTX_set_timeout(ctx, life_s > LONG_MAX ? LONG_MAX : (long)life_s);
    return 0;
}
