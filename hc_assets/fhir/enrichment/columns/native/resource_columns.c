/* What is done to a whole column of compact resources at once: equal texts found, texts searched,
 * replaced, joined and hashed.
 *
 * Belongs here: moving bytes. What is judged of them is in time_facts.c.
 * Places come from resource_texts.c; whatever they are, nothing is read or written outside of the
 * buffers given.
 */
#include "rows.h"

#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { FULL = -2 };

/* Hash by folded multiplication, eight bytes at a time. */
static uint64_t folded(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const uint8_t *at, size_t size, uint64_t seed) {
    uint64_t hash = seed ^ (size * 0x9e3779b97f4a7c15u), word;
    while (size >= 8) {
        memcpy(&word, at, 8);
        hash = folded(hash ^ word, 0xa0761d6478bd642fu) + 0xe7037ed1a0b428dbu;
        at += 8;
        size -= 8;
    }
    word = 0;
    memcpy(&word, at, size);
    return folded(hash ^ word, 0x8ebc6af09c88c6e3u);
}

/* Finds which texts are equal.
 *
 * places: of count texts in data; a text that begins before 0 is left out.
 * groups: only texts of the same group can be equal.
 * first: of each text, the first that equals it; -1 of one that is left out.
 * table: room for table_size numbers, a power of two beyond count. */
EXPORT void hc_distinct(const uint8_t *data, const Place *places, const int32_t *groups,
                        int64_t count, int64_t *first, int64_t *table, int64_t table_size) {
    for (int64_t i = 0; i < table_size; i++) table[i] = -1;
    for (int64_t i = 0; i < count; i++) {
        first[i] = -1;
        if (places[i].begin < 0) continue;
        const uint8_t *text = data + places[i].begin;
        size_t size = (size_t)(places[i].end - places[i].begin);
        uint64_t hash = hash_of(text, size, (uint64_t)(uint32_t)groups[i]);
        for (int64_t at = (int64_t)(hash & (uint64_t)(table_size - 1));;
             at = (at + 1) & (table_size - 1)) {
            int64_t other = table[at];
            if (other < 0) {
                table[at] = first[i] = i;
                break;
            }
            if (groups[other] == groups[i] &&
                places[other].end - places[other].begin == (int64_t)size &&
                memcmp(data + places[other].begin, text, size) == 0) {
                first[i] = other;
                break;
            }
        }
    }
}

/* Puts other texts in place of some references.
 *
 * offsets: rows + 1 of them, into data.
 * references: in the order of data, disjoint.
 * which: of each reference, the number of the text that replaces it; -1 where none does.
 * new_data, new_offsets: those texts.
 * out: room for capacity bytes; out_offsets: for rows + 1.
 * Gives the number of bytes written; FULL where there is no room. */
EXPORT int64_t hc_replaced(const uint8_t *data, const int64_t *offsets, int64_t rows,
                           const Reference *references, int64_t count, const int64_t *which,
                           const uint8_t *new_data, const int64_t *new_offsets, uint8_t *out,
                           int64_t capacity, int64_t *out_offsets) {
    int64_t to = 0, next = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t at = offsets[row];
        out_offsets[row] = to;
        for (; next < count && references[next].row == row; next++) {
            if (which[next] < 0) continue;
            const int64_t *ends = new_offsets + which[next];
            int64_t before = references[next].begin - at, size = ends[1] - ends[0];
            if (before + size > capacity - to) return FULL;
            memcpy(out + to, data + at, (size_t)before);
            memcpy(out + to + before, new_data + ends[0], (size_t)size);
            to += before + size;
            at = references[next].end;
        }
        int64_t rest = offsets[row + 1] - at;
        if (rest > capacity - to) return FULL;
        memcpy(out + to, data + at, (size_t)rest);
        to += rest;
    }
    out_offsets[rows] = to;
    return to;
}

/* Joins pieces of several texts.
 *
 * sources: the texts.
 * pieces: row by row, as many of each.
 * out: room for all of them; out_offsets: for rows + 1. */
EXPORT void hc_joined(const uint8_t *const *sources, const Piece *pieces, int64_t rows,
                      int64_t of_each, uint8_t *out, int32_t *out_offsets) {
    int64_t to = 0;
    for (int64_t row = 0; row < rows; row++) {
        out_offsets[row] = (int32_t)to;
        for (int64_t i = 0; i < of_each; i++, pieces++) {
            int64_t size = pieces->end - pieces->begin;
            if (size <= 0) continue;
            memcpy(out + to, sources[pieces->source] + pieces->begin, (size_t)size);
            to += size;
        }
    }
    out_offsets[rows] = (int32_t)to;
}

/* Copies a JSON text without the white space between its tokens; gives its size. */
static int64_t copy_compact(const uint8_t *at, const uint8_t *end, uint8_t *out) {
    uint8_t *to = out;
    int in_string = 0;
    while (at < end) {
        uint8_t c = *at++;
        if (!in_string && (c == ' ' || c == '\n' || c == '\r' || c == '\t')) continue;
        *to++ = c;
        if (c == '"') in_string = !in_string;
        if (c == '\\' && at < end) *to++ = *at++;
    }
    return to - out;
}

/* Hashes several JSON texts together, the same whatever white space is between their tokens.
 *
 * places: row by row, as many of each, in data; one that begins before 0 is an absent text.
 * seeds: one of each row.
 * scratch: room for the longest row and a byte for each of its texts.
 * hashes: one of each row. */
EXPORT void hc_hashed(const uint8_t *data, const Place *places, int64_t rows, int64_t of_each,
                      const uint64_t *seeds, uint8_t *scratch, uint64_t *hashes) {
    for (int64_t row = 0; row < rows; row++) {
        int64_t size = 0;
        for (int64_t i = 0; i < of_each; i++, places++) {
            if (places->begin >= 0)
                size += copy_compact(data + places->begin, data + places->end, scratch + size);
            scratch[size++] = 0; /* no JSON text has such a byte in it */
        }
        hashes[row] = hash_of(scratch, (size_t)size, seeds[row]);
    }
}

/* Where some bytes are; NULL where they are not. */
static const uint8_t *find(const uint8_t *at, const uint8_t *end, const uint8_t *sign, size_t size) {
    if (*sign != '\\') return memmem(at, (size_t)(end - at), sign, size);
    /* A backslash is rare, so that nothing is faster than to look for it alone. */
    for (; (at = memchr(at, *sign, (size_t)(end - at))) != NULL; at++)
        if ((size_t)(end - at) >= size && memcmp(at, sign, size) == 0) return at;
    return NULL;
}

/* Finds which texts hold some bytes.
 *
 * offsets: rows + 1 of them, into data.
 * sign: those bytes, one at least.
 * found: of each row, 1 where its text holds them, else 0. */
EXPORT void hc_rows_with(const uint8_t *data, const int64_t *offsets, int64_t rows,
                         const uint8_t *sign, int64_t size, uint8_t *found) {
    const uint8_t *at = data + offsets[0], *end = data + offsets[rows];
    memset(found, 0, (size_t)rows);
    for (int64_t row = 0; at < end && (at = find(at, end, sign, (size_t)size)) != NULL;) {
        while (data + offsets[row + 1] <= at) row++;
        const uint8_t *last = data + offsets[row + 1];
        /* What begins in one text and ends in the next is in none of them. */
        found[row] = last - at >= size;
        at = found[row] ? last : at + 1;
    }
}
