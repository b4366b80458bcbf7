/* Walking JSON text that a parser has accepted already: strings, white space, values.
 *
 * Whatever the bytes are, nothing is read outside of them.
 */
#ifndef HC_JSON_PLACES_H
#define HC_JSON_PLACES_H

#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

enum { MALFORMED = -1, FULL = -2 };

static inline uint64_t load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* A high bit in the first byte that is zero, and none before it. */
static inline uint64_t zero_bytes(uint64_t word) { return (word - ONES) & ~word & HIGHS; }

/* The quote that ends a string, from behind the one that begins it; NULL where there is none. */
static inline const uint8_t *string_end(const uint8_t *at, const uint8_t *end) {
    for (;;) {
        uint64_t found = 0;
        while (end - at >= 8) {
            uint64_t word = load(at);
            found = zero_bytes(word ^ (ONES * '"')) | zero_bytes(word ^ (ONES * '\\'));
            if (found != 0) break;
            at += 8;
        }
        if (found != 0) at += __builtin_ctzll(found) >> 3;
        while (at < end && *at != '"' && *at != '\\') at++;
        if (at >= end) return NULL;
        if (*at == '"') return at;
        if (end - at < 2) return NULL;
        at += 2;
    }
}

static inline int is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static inline const uint8_t *skip_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && is_space(*at)) {
        at++;
        while (end - at >= 8 && load(at) == ONES * ' ') at += 8;
    }
    return at;
}

/* Where the value ends that begins here. */
static inline const uint8_t *value_end(const uint8_t *at, const uint8_t *end) {
    int64_t depth = 0;
    while (at < end) {
        uint8_t c = *at;
        if (c == '"') {
            at = string_end(at + 1, end);
            if (at == NULL) return NULL;
            at++;
            if (depth == 0) return at;
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return at; /* of a number or a word before it */
            at++;
            if (--depth == 0) return at;
        } else if (depth == 0 && (c == ',' || is_space(c))) {
            return at;
        } else {
            at++;
        }
    }
    return NULL;
}

#endif
