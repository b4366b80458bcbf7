/* Flat views of a column of JSON resources: compact texts, where references stand, where members do.
 *
 * Belongs here: finding places in texts that a parser has accepted already. What is there is read
 * in Python. Whatever the bytes are, nothing is read or written outside of the buffers given.
 */
#include "json_places.h"
#include "rows.h"

/* Copies texts without the white space between their tokens, and finds the text of each member
 * `reference` in them.
 *
 * offsets: rows + 1 of them, into data; a row without a text is empty.
 * out: room for as many bytes as the texts have.
 * Gives the number of references; MALFORMED where a string has no end, FULL where there are more
 * than fit. */
EXPORT int64_t hc_compact(const uint8_t *data, const int32_t *offsets, int64_t rows, uint8_t *out,
                          int64_t *out_offsets, Reference *references, int64_t capacity) {
    static const char NAME[] = "\"reference\"";
    uint8_t *to = out;
    int64_t count = 0;
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t *at = data + offsets[row], *end = data + offsets[row + 1];
        int is_reference = 0;
        out_offsets[row] = to - out;
        while (at < end) {
            if (is_space(*at)) {
                at = skip_space(at, end);
                continue;
            }
            if (*at != '"') {
                *to++ = *at++;
                continue;
            }
            const uint8_t *close = string_end(at + 1, end);
            if (close == NULL) return MALFORMED;
            size_t size = (size_t)(close + 1 - at);
            memcpy(to, at, size);
            if (is_reference) {
                if (count == capacity) return FULL;
                Reference found = {row, to + 1 - out, to + size - 1 - out};
                references[count++] = found;
                is_reference = 0;
            } else if (size == sizeof NAME - 1 && memcmp(at, NAME, size) == 0) {
                const uint8_t *next = skip_space(close + 1, end);
                if (next < end && *next == ':') {
                    next = skip_space(next + 1, end);
                    is_reference = next < end && *next == '"';
                }
            }
            to += size;
            at = close + 1;
        }
    }
    out_offsets[rows] = to - out;
    return count;
}

/* Finds the members of one object; gives how many, or MALFORMED or FULL. */
static int64_t members_of(const uint8_t *text, const uint8_t *end, Span *names, Span *values,
                          int64_t capacity, uint64_t *hash) {
    int64_t count = 0;
    const uint8_t *at = skip_space(text, end);
    *hash = 14695981039346656037u;
    if (at >= end || *at != '{') return MALFORMED;
    at = skip_space(at + 1, end);
    if (at < end && *at == '}') return 0;
    for (;;) {
        if (at >= end || *at != '"') return MALFORMED;
        const uint8_t *close = string_end(at + 1, end);
        if (close == NULL) return MALFORMED;
        if (count == capacity) return FULL;
        Span name = {(int32_t)(at + 1 - text), (int32_t)(close - text)};
        names[count] = name;
        for (const uint8_t *c = at; c < close; c++) *hash = (*hash ^ *c) * 1099511628211u;
        at = skip_space(close + 1, end);
        if (at >= end || *at != ':') return MALFORMED;
        at = skip_space(at + 1, end);
        close = value_end(at, end);
        if (close == NULL || close == at) return MALFORMED;
        Span value = {(int32_t)(at - text), (int32_t)(close - text)};
        values[count++] = value;
        at = skip_space(close, end);
        if (at >= end) return MALFORMED;
        if (*at == '}') return count;
        if (*at != ',') return MALFORMED;
        at = skip_space(at + 1, end);
    }
}

static int same_names(const uint8_t *a, const Span *of_a, const uint8_t *b, const Span *of_b,
                      int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        int32_t size = of_a[i].end - of_a[i].begin;
        if (of_b[i].end - of_b[i].begin != size ||
            memcmp(a + of_a[i].begin, b + of_b[i].begin, (size_t)size) != 0)
            return 0;
    }
    return 1;
}

/* Finds the members of each text that is not empty, and which texts have members of the same names
 * in the same order.
 *
 * offsets: rows + 1 of them, into data.
 * first_member: rows + 1 of them: where a row's members begin in names and values.
 * names, values: from the beginning of the row's text; names without their quotes.
 * alike: of each row, the first row with its names.
 * table: room for table_size numbers, a power of two beyond rows.
 * Gives the number of members; MALFORMED where a text is no object, FULL where there are more than
 * fit. */
EXPORT int64_t hc_members(const uint8_t *data, const int64_t *offsets, int64_t rows,
                          int64_t *first_member, Span *names, Span *values, int64_t capacity,
                          int32_t *alike, int32_t *table, int64_t table_size) {
    int64_t total = 0;
    for (int64_t i = 0; i < table_size; i++) table[i] = -1;
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t *text = data + offsets[row], *end = data + offsets[row + 1];
        first_member[row] = total;
        alike[row] = (int32_t)row;
        if (text == end) continue;
        uint64_t hash;
        int64_t count = members_of(text, end, names + total, values + total, capacity - total, &hash);
        if (count < 0) return count;
        total += count;
        for (int64_t at = (int64_t)(hash ^ hash >> 32) & (table_size - 1);;
             at = (at + 1) & (table_size - 1)) {
            int32_t other = table[at];
            if (other < 0) {
                table[at] = (int32_t)row;
                break;
            }
            /* Only rows whose names are all their own are in the table. */
            int64_t its = first_member[other + 1] - first_member[other];
            if (its == count && same_names(text, names + first_member[row], data + offsets[other],
                                           names + first_member[other], count)) {
                alike[row] = other;
                break;
            }
        }
        first_member[row + 1] = total;
    }
    first_member[rows] = total;
    return total;
}
