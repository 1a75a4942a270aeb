/* BLAKE2b for short messages: keyed, one block of message, digests of up to 64 bytes.
 *
 * Source: RFC 7693, "The BLAKE2 Cryptographic Hash and Message Authentication Code (MAC)".
 */
#ifndef VIGIE_BLAKE2B_H
#define VIGIE_BLAKE2B_H

#include <stdint.h>
#include <string.h>

#define BLAKE2B_BLOCK 128

static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL, 0xa54ff53a5f1d36f1ULL,
    0x510e527fade682d1ULL, 0x9b05688c2b3e6c1fULL, 0x1f83d9abfb41bd6bULL, 0x5be0cd19137e2179ULL};

static const uint8_t blake2b_sigma[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};

static inline uint64_t blake2b_rotate(uint64_t word, unsigned bits)
{
    return (word >> bits) | (word << (64 - bits));
}

#define BLAKE2B_MIX(a, b, c, d, x, y)              \
    do {                                           \
        v[a] += v[b] + (x);                        \
        v[d] = blake2b_rotate(v[d] ^ v[a], 32);    \
        v[c] += v[d];                              \
        v[b] = blake2b_rotate(v[b] ^ v[c], 24);    \
        v[a] += v[b] + (y);                        \
        v[d] = blake2b_rotate(v[d] ^ v[a], 16);    \
        v[c] += v[d];                              \
        v[b] = blake2b_rotate(v[b] ^ v[c], 63);    \
    } while (0)

static inline uint64_t blake2b_word(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
           (uint64_t)at[7] << 56;
}

/* Take one block into the state; ``total``: bytes taken with it, of the key's block as well. */
static inline void blake2b_compress(uint64_t h[8], const uint8_t *block, uint64_t total, int is_last)
{
    uint64_t v[16], m[16];
    int i;
    for (i = 0; i < 16; i++)
        m[i] = blake2b_word(block + 8 * i);
    for (i = 0; i < 8; i++) {
        v[i] = h[i];
        v[i + 8] = blake2b_iv[i];
    }
    v[12] ^= total;
    if (is_last)
        v[14] = ~v[14];
#if defined(__GNUC__)
#pragma GCC unroll 12 /* so that the order of the words is known to the compiler */
#endif
    for (i = 0; i < 12; i++) {
        const uint8_t *s = blake2b_sigma[i];
        BLAKE2B_MIX(0, 4, 8, 12, m[s[0]], m[s[1]]);
        BLAKE2B_MIX(1, 5, 9, 13, m[s[2]], m[s[3]]);
        BLAKE2B_MIX(2, 6, 10, 14, m[s[4]], m[s[5]]);
        BLAKE2B_MIX(3, 7, 11, 15, m[s[6]], m[s[7]]);
        BLAKE2B_MIX(0, 5, 10, 15, m[s[8]], m[s[9]]);
        BLAKE2B_MIX(1, 6, 11, 12, m[s[10]], m[s[11]]);
        BLAKE2B_MIX(2, 7, 8, 13, m[s[12]], m[s[13]]);
        BLAKE2B_MIX(3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (i = 0; i < 8; i++)
        h[i] ^= v[i] ^ v[i + 8];
}

/* The state behind the key's block, for digests of so many bytes; a key of 1 to 64 bytes. */
static inline void blake2b_begin(uint64_t h[8], const uint8_t *key, int key_bytes, int digest_bytes)
{
    uint8_t block[BLAKE2B_BLOCK] = {0};
    memcpy(h, blake2b_iv, sizeof blake2b_iv);
    h[0] ^= 0x01010000ULL ^ ((uint64_t)key_bytes << 8) ^ (uint64_t)digest_bytes;
    memcpy(block, key, key_bytes);
    blake2b_compress(h, block, BLAKE2B_BLOCK, 0);
}

/* Write the digest of one block's message, padded with zeros by the caller, that is not empty. */
static inline void blake2b_finish(const uint64_t begun[8], const uint8_t block[BLAKE2B_BLOCK],
                                  int message_bytes, uint8_t *digest, int digest_bytes)
{
    uint64_t h[8];
    int i;
    memcpy(h, begun, sizeof h);
    blake2b_compress(h, block, BLAKE2B_BLOCK + message_bytes, 1);
    for (i = 0; i < digest_bytes; i++)
        digest[i] = (uint8_t)(h[i / 8] >> (8 * (i % 8)));
}

#endif
