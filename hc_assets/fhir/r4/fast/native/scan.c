/* JSON text: strings, numbers, white space, and looking into what has been accepted already. */
#include "fast_path.h"

#include <stdlib.h>
#include <string.h>

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

static inline uint64_t load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* A high bit in each byte that is a quote, a backslash, a control or beyond ASCII; all bytes below
 * the first such bit are plain. */
static inline uint64_t special_bytes(uint64_t word) {
    uint64_t quote = word ^ (ONES * '"');
    uint64_t backslash = word ^ (ONES * '\\');
    return ((quote - ONES) | (backslash - ONES) | (word - ONES * 0x20) | word) & HIGHS;
}

const uint8_t *skip_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        if (*at == '\n') {
            /* After a line break comes indentation. */
            at++;
            while (end - at >= 8 && load(at) == ONES * ' ') at += 8;
            continue;
        }
        at++;
    }
    return at;
}

/* The length of the UTF-8 sequence at a byte beyond ASCII; 0 where it is none (RFC 3629). */
static int utf8_length(const uint8_t *at, const uint8_t *end) {
    uint8_t lead = at[0];
    int length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || end - at < length) return 0;
    for (int i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    if (lead == 0xE0 && at[1] < 0xA0) return 0;
    if (lead == 0xED && at[1] > 0x9F) return 0;
    if (lead == 0xF0 && at[1] < 0x90) return 0;
    if (lead == 0xF4 && at[1] > 0x8F) return 0;
    return length;
}

static int hex4(const uint8_t *at, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i];
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0')
                         : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a' + 10)
                                                              : 16u;
        if (digit > 15) return 0;
        *code = *code << 4 | digit;
    }
    return 1;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = (uint8_t)code;
    } else if (code < 0x800) {
        *out++ = (uint8_t)(0xC0 | code >> 6);
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = (uint8_t)(0xE0 | code >> 12);
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    } else {
        *out++ = (uint8_t)(0xF0 | code >> 18);
        *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    }
    return out;
}

/* One escape after its backslash; control characters are worth a warning, so they are not taken. */
static const uint8_t *escape(const uint8_t *at, const uint8_t *end, uint32_t *code) {
    if (at >= end) return NULL;
    switch (*at++) {
    case '"': *code = '"'; return at;
    case '\\': *code = '\\'; return at;
    case '/': *code = '/'; return at;
    case 'n': *code = '\n'; return at;
    case 'r': *code = '\r'; return at;
    case 't': *code = '\t'; return at;
    case 'u': break;
    default: return NULL;
    }
    if (end - at < 4 || !hex4(at, code)) return NULL;
    at += 4;
    if (*code < 0x20) return NULL;
    if (*code >= 0xD800 && *code <= 0xDFFF) {
        uint32_t low;
        if (*code > 0xDBFF || end - at < 6 || at[0] != '\\' || at[1] != 'u' || !hex4(at + 2, &low) ||
            low < 0xDC00 || low > 0xDFFF)
            return NULL;
        *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    }
    return at;
}

/* The first byte from here that is not a plain character of a string. */
static inline const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end) {
    while (end - at >= 8) {
        uint64_t special = special_bytes(load(at));
        if (special != 0) {
            /* A borrow may mark a byte above the first special one, never below it. */
            at += __builtin_ctzll(special) >> 3;
            return at;
        }
        at += 8;
    }
    while (at < end && *at != '"' && *at != '\\' && *at >= 0x20 && *at < 0x80) at++;
    return at;
}

const uint8_t *pass_string(const uint8_t *at, const uint8_t *end, int *is_ascii, int *has_escape) {
    *is_ascii = 1;
    *has_escape = 0;
    for (;;) {
        at = skip_plain(at, end);
        if (UNLIKELY(at >= end)) return NULL;
        if (LIKELY(*at == '"')) return at + 1;
        if (*at == '\\') {
            uint32_t code;
            at = escape(at + 1, end, &code);
            if (at == NULL) return NULL;
            if (code >= 0x80) *is_ascii = 0;
            *has_escape = 1;
        } else {
            int length = *at < 0x20 ? 0 : utf8_length(at, end);
            if (length == 0) return NULL;
            at += length;
            *is_ascii = 0;
        }
    }
}

const uint8_t *scan_string(Run *run, const uint8_t *at, String *found) {
    const uint8_t *start = at;
    int has_escape;
    at = pass_string(at, run->end, &found->is_ascii, &has_escape);
    if (UNLIKELY(at == NULL)) return NULL;
    at--; /* the closing quote */
    found->text.at = start;
    found->text.size = (size_t)(at - start);
    if (UNLIKELY(has_escape)) {
        uint8_t **slot = PUSH(run, run->scratch), *out;
        if (slot == NULL) return NULL;
        *slot = out = malloc(found->text.size);
        if (out == NULL) {
            run->scratch.count--;
            run->is_out_of_memory = 1;
            return NULL;
        }
        const uint8_t *in = start;
        while (in < at) {
            if (*in != '\\') {
                *out++ = *in++;
                continue;
            }
            uint32_t code = 0;
            in = escape(in + 1, at, &code);
            if (in == NULL) return NULL;
            out = put_utf8(out, code);
        }
        found->text.at = *slot;
        found->text.size = (size_t)(out - *slot);
    }
    return at + 1;
}

static inline int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

const uint8_t *scan_number(const uint8_t *at, const uint8_t *end, int *is_integer) {
    const uint8_t *start = at;
    *is_integer = 1;
    if (at < end && *at == '-') at++;
    if (at >= end || !is_digit(*at)) return NULL;
    if (*at == '0') {
        at++;
    } else {
        while (at < end && is_digit(*at)) at++;
    }
    if (at < end && *at == '.') {
        *is_integer = 0;
        const uint8_t *digits = ++at;
        while (at < end && is_digit(*at)) at++;
        if (at == digits) return NULL;
    }
    /* Numbers with an exponent, or of more digits than any measurement has, go the thorough way. */
    if (at < end && ((*at | 32) == 'e' || is_digit(*at))) return NULL;
    return at - start <= 64 ? at : NULL;
}

static const uint8_t *pass_number(const uint8_t *at, const uint8_t *end) {
    if (at < end && *at == '-') at++;
    if (at >= end || !is_digit(*at)) return NULL;
    if (*at == '0') {
        at++;
    } else {
        while (at < end && is_digit(*at)) at++;
    }
    if (at < end && *at == '.') {
        const uint8_t *digits = ++at;
        while (at < end && is_digit(*at)) at++;
        if (at == digits) return NULL;
    }
    if (at < end && (*at | 32) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        const uint8_t *digits = at;
        while (at < end && is_digit(*at)) at++;
        if (at == digits) return NULL;
    }
    return at;
}

static const uint8_t *pass_word(const uint8_t *at, const uint8_t *end, const char *word) {
    size_t size = strlen(word);
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0 ? at + size : NULL;
}

const uint8_t *pass_value(const uint8_t *at, const uint8_t *end, int depth) {
    int is_ascii, has_escape;
    if (at >= end) return NULL;
    switch (*at) {
    case '"': return pass_string(at + 1, end, &is_ascii, &has_escape);
    case 't': return pass_word(at, end, "true");
    case 'f': return pass_word(at, end, "false");
    case 'n': return pass_word(at, end, "null");
    case '{':
    case '[': break;
    default: return pass_number(at, end);
    }
    int is_object = *at == '{';
    uint8_t closing = is_object ? '}' : ']';
    if (depth >= MAX_DEPTH) return NULL;
    at = skip_space(at + 1, end);
    if (at < end && *at == closing) return at + 1;
    for (;;) {
        if (is_object) {
            if (at >= end || *at != '"') return NULL;
            at = pass_string(at + 1, end, &is_ascii, &has_escape);
            if (at == NULL) return NULL;
            at = skip_space(at, end);
            if (at >= end || *at != ':') return NULL;
            at = skip_space(at + 1, end);
        }
        at = pass_value(at, end, depth + 1);
        if (at == NULL) return NULL;
        at = skip_space(at, end);
        if (at >= end) return NULL;
        if (*at == closing) return at + 1;
        if (*at != ',') return NULL;
        at = skip_space(at + 1, end);
    }
}

const uint8_t *skip_value(const uint8_t *at, const uint8_t *end) {
    int depth = 0;
    for (;;) {
        at = skip_space(at, end);
        if (at >= end) return NULL;
        uint8_t c = *at;
        if (c == '"') {
            for (at++; at < end && *at != '"'; at++)
                if (*at == '\\' && end - at > 1) at++;
            if (at >= end) return NULL;
            at++;
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
            continue;
        } else if (c == '}' || c == ']') {
            if (--depth < 0) return NULL;
            at++;
        } else if (c == ',' || c == ':') {
            if (depth == 0) return NULL;
            at++;
            continue;
        } else {
            const uint8_t *word = at;
            while (at < end && (is_digit(*at) || (*at | 32) >= 'a' || *at == '-' || *at == '+' ||
                                *at == '.') &&
                   *at != '}' && *at != ']')
                at++;
            if (at == word) return NULL;
        }
        if (depth == 0) return at;
    }
}

static Text member_named(Text object, Text name) {
    static const Text none = {NULL, 0};
    if (object.size == 0 || object.at[0] != '{') return none;
    const uint8_t *end = object.at + object.size, *at = object.at + 1;
    for (;;) {
        at = skip_space(at, end);
        if (at >= end || *at != '"') return none;
        Text key = {at + 1, 0};
        at = skip_value(at, end);
        if (at == NULL) return none;
        key.size = (size_t)(at - 1 - key.at);
        at = skip_space(at, end);
        if (at >= end || *at != ':') return none;
        at = skip_space(at + 1, end);
        const uint8_t *value = at;
        at = skip_value(at, end);
        if (at == NULL) return none;
        if (same(key, name)) {
            Text found = {value, (size_t)(at - value)};
            return found;
        }
        at = skip_space(at, end);
        if (at >= end || *at != ',') return none;
        at++;
    }
}

Text member_in(Text object, const char *name) {
    Text text = {(const uint8_t *)name, strlen(name)};
    return member_named(object, text);
}

int has_member(Text object, Text name) { return member_named(object, name).at != NULL; }

int next_item(Text array, const uint8_t **position, Text *item) {
    if (array.size == 0 || array.at[0] != '[') return 0;
    const uint8_t *end = array.at + array.size, *at = *position;
    at = skip_space(at == NULL ? array.at + 1 : at, end);
    if (at < end && *at == ',') at = skip_space(at + 1, end);
    if (at >= end || *at == ']') return 0;
    item->at = at;
    at = skip_value(at, end);
    if (at == NULL) return 0;
    item->size = (size_t)(at - item->at);
    *position = at;
    return 1;
}

Text plain_string(Text value, int *is_certain) {
    Text found = {NULL, 0};
    if (value.size < 2 || value.at[0] != '"') return found;
    found.at = value.at + 1;
    found.size = value.size - 2;
    if (memchr(found.at, '\\', found.size) != NULL) *is_certain = 0;
    return found;
}
