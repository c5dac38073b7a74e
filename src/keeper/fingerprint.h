/* A public key as people compare it: "ED25519 SHA256:...", as ssh-keygen -l and sshd's log have it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_FINGERPRINT_H
#define KEEPER_FINGERPRINT_H

#include <stdbool.h>

#define FINGERPRINT_SIZE 96

/* INFO is sshd's SSH_AUTH_INFO_0: lines such as "publickey ssh-ed25519 AAAA...".  False where the first of them
 * names no key, or there is no hash. */
bool fingerprint_of_login(const char *info, char fingerprint[FINGERPRINT_SIZE]);

#endif
