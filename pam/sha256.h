/* SHA-256 (FIPS 180-4) of a few bytes.  SPDX-License-Identifier: Apache-2.0
 *
 * For showing which key somebody came with.  A cryptographic library would be loaded into sshd for it. */
#ifndef PAM_SHA256_H
#define PAM_SHA256_H

#include <stddef.h>

#define SHA256_SIZE 32

void sha256(const unsigned char *bytes, size_t size, unsigned char digest[SHA256_SIZE]);

#endif
