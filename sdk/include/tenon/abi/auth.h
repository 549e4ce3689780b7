/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.auth/1 -- who sent this, and may they? Secrets do not leave the provider. */
#ifndef TENON_ABI_AUTH_H
#define TENON_ABI_AUTH_H

#include "base.h"
#include "trading.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_identity {
    uint32_t size, permissions; /* TENON_PERMISSION_* */
    uint64_t account;
    uint32_t key_kind, reserved;
    uint32_t flags, reserved2;  /* Since 1.10. TENON_IDENTITY_* */
} tenon_identity;
/* The key is bound to addresses: before anything is done for who sent this, ask `allows`. */
#define TENON_IDENTITY_BOUND 1u

typedef struct tenon_auth_1 {
    uint32_t size, flags;
    /* [any] Looks the key up. TENON_OK | TENON_NOT_FOUND (unknown or revoked). */
    tenon_status (*identify)(void* self, tenon_str api_key, tenon_identity* out);
    /* [any] Checks a signature over the concatenation of `parts`, as received. HMAC-SHA256: 64 hex
     * digits of either case; Ed25519: base64 of 64 bytes. Constant time.
     * TENON_OK | TENON_DENIED (does not fit) | TENON_NOT_FOUND. */
    tenon_status (*verify)(void* self, tenon_str api_key, const tenon_bytes* parts, uint32_t count,
                           tenon_str signature, tenon_identity* out);
    /* Since 1.10. [any] Whether the key may be used from the address, without a port, that
     * tenon.http_routes/1 has as `remote`. TENON_OK | TENON_DENIED | TENON_NOT_FOUND. */
    tenon_status (*allows)(void* self, tenon_str api_key, tenon_str address);
} tenon_auth_1;

#ifdef __cplusplus
}
#endif
#endif
